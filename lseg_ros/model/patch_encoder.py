# SPDX-License-Identifier: Apache-2.0
"""Vision transformers whose patches are in one space with text, without a decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.model.parts import Decoder, ImageEncoder
from lseg_ros.model.positions import PositionCache, resize_antialiased

RESIZES = ('bilinear', 'bicubic')
LAST_BLOCKS = ('attention', 'value')


@dataclass(frozen=True)
class PatchEncoderSettings:
    """Which of timm's transformers gives the patches, and how."""

    timm_name: str
    positions: str  # of RESIZES: how its position embedding is resized
    last_block: str  # of LAST_BLOCKS: as written, or only the value of each token
    timm_arguments: Mapping[str, Any] = field(default_factory=dict)  # where it differs from timm's

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown choice."""
        for name, known in (('positions', RESIZES), ('last_block', LAST_BLOCKS)):
            if getattr(self, name) not in known:
                raise ValueError(f'{name} must be one of {", ".join(known)}, not {getattr(self, name)!r}')


class PatchEncoder(ImageEncoder):
    """Vision transformer with class and register tokens (Darcet et al., 2024).

    It returns one map, of its normalised patch tokens. With the last block 'value', attention in
    that block is replaced by the identity, as in MaskCLIP (Zhou et al., 2022): every token keeps
    its own value, so that a patch speaks for itself.
    """

    any_size = True
    net: Any  # timm's network: mypy cannot know its attributes

    def __init__(self, settings: PatchEncoderSettings) -> None:
        """Build the encoder with random weights."""
        super().__init__()
        self.net = timm.create_model(settings.timm_name, num_classes=0, **settings.timm_arguments)
        self.last_block = settings.last_block
        self.channels = (self.net.embed_dim,)
        self.stride = self.net.patch_embed.patch_size[0]
        self._positions = PositionCache(partial(resize_antialiased, mode=settings.positions))

    def fix_size(self, height: int, width: int) -> None:
        """See ImageEncoder."""
        self._positions.fix(self.net.pos_embed, (height // self.stride, width // self.stride))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the map of a batch of images, [B, channels, H / stride, W / stride]."""
        net = self.net
        grid = (pixels.shape[2] // self.stride, pixels.shape[3] // self.stride)
        patches = net.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        patches = patches + self._positions(net.pos_embed, grid)
        # The class token's position embedding is already added to it; registers have none.
        prefix = torch.cat((net.cls_token, net.reg_token), dim=1).expand(patches.shape[0], -1, -1)
        x = torch.cat((prefix, patches), dim=1)
        *blocks, last = net.blocks
        for block in blocks:
            x = block(x)
        x = _keep_values(last, x) if self.last_block == 'value' else last(x)
        patches = net.norm(x)[:, net.num_prefix_tokens :]
        return (patches.transpose(1, 2).unflatten(2, grid),)


def _keep_values(block: Any, x: Tensor) -> Tensor:
    """Run one of timm's blocks on tokens [B, T, D] with the identity in place of attention."""
    attention = block.attn
    weight, bias = (part[2 * x.shape[2] :] for part in (attention.qkv.weight, attention.qkv.bias))
    x = x + block.ls1(attention.proj(F.linear(block.norm1(x), weight, bias)))
    tokens: Tensor = x + block.ls2(block.mlp(block.norm2(x)))
    return tokens


class NoDecoder(Decoder):
    """Passes on the one map of an image encoder that is trained with its text encoder."""

    def __init__(self, channels: Sequence[int], width: int, dim: int) -> None:
        """Check that the map's channels are the `dim` of the embeddings; `width` is not used."""
        super().__init__()
        if tuple(channels) != (dim,):
            raise ValueError(f'without a decoder, the image encoder must have one map of {dim} channels')

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the map, [B, dim, h, w]."""
        return maps[0]
