# SPDX-License-Identifier: Apache-2.0
"""LSeg: language-driven semantic segmentation (Li et al., 2022, arXiv 2201.03546)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lseg_ros.model.parts import Decoder, ImageEncoder, TextEncoder
from lseg_ros.model.spatial import NO_SPATIAL, SpatialRegularisation, SpatialSettings
from lseg_ros.model.text import PromptCache

TEXT_PREFIX = 'text_encoder.'  # of the text encoder's keys in LSeg.state_dict

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class LSegConfig:
    """The parts of a network, and the settings that belong to its weights."""

    name: str = 'lseg-lite'
    encoder: str = 'tf_efficientnet_lite0'
    decoder: str = 'pyramid'
    width: int = 160  # channels of the decoder
    text: str = 'all-MiniLM-L6-v2'
    spatial: str = NO_SPATIAL  # spatial regularisation, see SpatialSettings.parse
    mean: Rgb = (0.5, 0.5, 0.5)  # for normalising pixels in 0..1
    std: Rgb = (0.5, 0.5, 0.5)
    temperature: float = 0.07  # logits = cosine / temperature
    calibration: float = 1.0  # confidence = softmax(logits / calibration)
    input_size: int = 0  # short side in pixels to resize images to; 0: do not resize
    align_corners: bool = False  # of the last upsampling
    class_prior: float = 0.0  # strength of ClassPrior; 0: the network has none

    def __post_init__(self) -> None:
        """Raise ValueError for a value of the wrong type or out of range."""
        for name in ('mean', 'std'):  # JSON has no tuples
            object.__setattr__(self, name, _rgb(name, getattr(self, name)))
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            # True and False are integers to Python, not to us.
            if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
                raise ValueError(f'{field.name} must be {kind.__name__}, not {value!r}')
        for name, least, most in (
            ('width', 1, 1024),
            ('input_size', 0, 8192),
            ('temperature', 1e-3, 1e3),
            ('calibration', 1e-3, 1e3),
            ('class_prior', 0, 1e4),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f'{name} must be within {least} and {most}, not {value}')
        SpatialSettings.parse(self.spatial)


def _rgb(name: str, value: Sequence[float]) -> Rgb:
    """Return `value` as a tuple; raise ValueError unless it is three numbers in range."""
    least = 0.0 if name == 'mean' else 1e-3
    if (
        not isinstance(value, list | tuple)
        or len(value) != 3
        or not all(isinstance(part, float) and least <= part <= 1.0 for part in value)
    ):
        raise ValueError(f'{name} must be three numbers within {least} and 1.0, not {value!r}')
    red, green, blue = value
    return red, green, blue


class LSeg(nn.Module):
    """Scores each pixel against prompts by the cosine of their embeddings.

    Any image encoder, decoder and text encoder can be combined if their shapes agree.
    """

    image_encoder: ImageEncoder
    decoder: Decoder
    text_encoder: TextEncoder

    def __init__(
        self, config: LSegConfig, image_encoder: ImageEncoder, decoder: Decoder, text_encoder: TextEncoder
    ) -> None:
        """Combine the three parts; `config` may be replaced later, for example to calibrate."""
        super().__init__()
        self.config = config
        self.image_encoder = image_encoder
        self.decoder = decoder
        self.text_encoder = text_encoder
        text_encoder.requires_grad_(False)
        spatial = SpatialSettings.parse(config.spatial)
        self.spatial = SpatialRegularisation(spatial) if spatial else nn.Identity()
        self._prompts = PromptCache(text_encoder.encode)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.config.name

    @property
    def mean(self) -> Rgb:
        """The mean of RGB in 0..1 for normalising pixels."""
        return self.config.mean

    @property
    def std(self) -> Rgb:
        """The standard deviation of RGB in 0..1 for normalising pixels."""
        return self.config.std

    @property
    def stride(self) -> int:
        """The number that height and width of the pixels must be multiples of."""
        return self.image_encoder.stride

    @property
    def input_size(self) -> int:
        """The short side in pixels to resize images to; 0: do not resize."""
        return self.config.input_size

    @property
    def calibration(self) -> float:
        """The divisor of logits in the softmax that gives the confidence."""
        return self.config.calibration

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.image_encoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the image side, required of pixels and text."""
        return next(self.image_encoder.parameters()).dtype

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Return unit rows [K, D] for K >= 1 prompts, on the network's device and dtype.

        Prompts are cached, and any thread may call this.
        Raise ValueError for an empty list, or for a string instead of a list.
        """
        if isinstance(prompts, str) or not prompts:
            raise ValueError(f'expected a list of at least one prompt, not {prompts!r}')
        return self._prompts(prompts).to(self.device, self.dtype)

    def normalise(self, images: Tensor) -> Tensor:
        """Return uint8 RGB images [B, H, W, 3] as normalised pixels [B, 3, H, W].

        The pixels are float32, on the network's device, in channels-last layout.
        """
        pixels = images.to(self.device).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(rgb, device=self.device)[:, None, None] for rgb in (self.mean, self.std))
        return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Return unit embeddings [B, D, h, w], float32, of normalised pixels [B, 3, H, W].

        h x w is the decoder's resolution: H/4 x W/4 for lseg-lite, H/2 x W/2 for the published
        networks, and the patches without a decoder. Raise ValueError unless H and W are multiples
        of `stride`.
        """
        height, width = pixels.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f'pixels are {height} x {width}: pad or resize them so that both sides are multiples of {self.stride}'
            )
        return F.normalize(self.decoder(self.image_encoder(pixels)).float(), dim=1)

    def embed(self, pixels: Tensor) -> Tensor:
        """Return a unit embedding for each of the normalised pixels [B, 3, H, W]: [B, D, H, W].

        It is float32. Its inner product with a row of `encode_text` is their cosine.
        """
        return F.normalize(self._to_image_size(self.encode_image(pixels), pixels), dim=1)

    def correlate(self, embeddings: Tensor, text: Tensor) -> Tensor:
        """Return logits [B, K, h, w] = cosine / temperature, in the dtype of `text`.

        If the network has spatial regularisation, it is applied.
        """
        cosine = torch.einsum('bdhw,kd->bkhw', embeddings.to(text.dtype), text)
        logits: Tensor = self.spatial(cosine / self.config.temperature)
        return logits

    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Return logits [B, K, H, W] of normalised pixels [B, 3, H, W] and text [K, D]."""
        logits = self.correlate(self.encode_image(pixels), text)
        return self._to_image_size(logits, pixels)

    def image_state_dict(self) -> dict[str, Tensor]:
        """Return the state dict without the text encoder."""
        return {key: tensor for key, tensor in self.state_dict().items() if not key.startswith(TEXT_PREFIX)}

    def digest(self) -> str:
        """Return eight hexadecimal digits that tell networks with other image weights apart.

        They depend on the signs of the weights alone, which all floating-point types keep.
        """
        content = hashlib.sha256()
        for key, tensor in sorted(self.image_state_dict().items()):
            content.update(key.encode())
            content.update(np.packbits(torch.signbit(tensor).cpu().numpy()).tobytes())
        return content.hexdigest()[:8]

    def _to_image_size(self, maps: Tensor, pixels: Tensor) -> Tensor:
        return F.interpolate(maps, size=pixels.shape[-2:], mode='bilinear', align_corners=self.config.align_corners)
