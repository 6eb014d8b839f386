# SPDX-License-Identifier: Apache-2.0
"""The networks to measure, and the straightforward way to run one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.model import LSeg, checkpoint, load
from lseg_ros.model.open_networks import open_networks
from lseg_ros.model.published import NETWORKS
from lseg_ros.model.tips_text import TipsText
from lseg_ros.model.zoo import build

LARGE = 'lseg-vitl16'  # the paper's network


def has_random_weights(name: str) -> bool:
    """Return whether `open_network` gives this model random weights."""
    return name in NETWORKS or name in open_networks()


def open_network(name: str, device: torch.device, dtype: torch.dtype) -> LSeg:
    """Load a model by name or path; those that must be fetched get random weights."""
    if not has_random_weights(name):
        return load(name, device, dtype)
    torch.manual_seed(0)
    network = NETWORKS[name] if name in NETWORKS else open_networks()[name]
    model = build(network.config).eval().requires_grad_(False)
    if isinstance(model.text_encoder, TipsText):  # whose tokenizer comes with the weights
        model.text_encoder.tokenizer = _word_counter()
    model.image_encoder.to(dtype)
    model.decoder.to(dtype)
    return model.to(device)


@contextmanager
def stored_network(name: str) -> Iterator[str]:
    """Yield what the node loads as `name`: that itself, or a temporary file of random weights."""
    if not has_random_weights(name):
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f'{name}.safetensors')
        checkpoint.save(open_network(name, torch.device('cpu'), torch.float32), path)
        yield str(path)


def _word_counter() -> Tokenizer:
    """Return a tokenizer that turns every word into the same token."""
    tokenizer = Tokenizer(WordLevel({'?': 0}, unk_token='?'))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


class PlainNetwork:
    """LSeg in eager float32, channels first: the baseline that the backends improve on."""

    def __init__(self, model: LSeg) -> None:
        """Wrap `model`, which is in float32, and convert it to channels first in place."""
        self.model = model.to(memory_format=torch.contiguous_format)

    def network(self, pixels: Tensor, text: Tensor) -> Callable[[], Tensor]:
        """Return a function that computes logits on the network's grid from pixels [B, 3, H, W]."""
        pixels = pixels.contiguous()
        return lambda: self._logits(pixels, text)

    def images_to_ids(self, images: list[np.ndarray], size: tuple[int, int], text: Tensor) -> Callable[[], np.ndarray]:
        """Return a function that computes ids [B, H, W] of equally large uint8 images [H, W, 3]."""
        return lambda: self._ids(np.stack(images), size, text)

    @torch.inference_mode()
    def _logits(self, pixels: Tensor, text: Tensor) -> Tensor:
        return self.model.correlate(self.model.encode_image(pixels), text)

    @torch.inference_mode()
    def _ids(self, images: np.ndarray, size: tuple[int, int], text: Tensor) -> np.ndarray:
        model = self.model
        pixels = torch.from_numpy(images).to(model.device).permute(0, 3, 1, 2).float() / 255
        pixels = F.interpolate(pixels, size, mode='bilinear', antialias=True)
        mean, std = (torch.tensor(value, device=model.device)[:, None, None] for value in (model.mean, model.std))
        logits = self._logits((pixels - mean) / std, text)
        logits = F.interpolate(logits, images.shape[1:3], mode='bilinear')
        return logits.softmax(1).argmax(1).cpu().numpy()
