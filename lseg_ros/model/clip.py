# SPDX-License-Identifier: Apache-2.0
"""CLIP's text encoder, which the published LSeg networks were trained with.

open_clip is imported on use: importing it takes seconds, and lseg-lite does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.model.parts import TextEncoder


@dataclass(frozen=True)
class ClipTextSettings:
    """The sizes of one of CLIP's text encoders."""

    width: int
    layers: int
    dim: int  # of its vectors
    open_clip_name: str


# By the name in a model's configuration.
CLIP_TEXT = MappingProxyType(
    {
        f'clip-vit-b-{patch}': ClipTextSettings(512, layers=12, dim=512, open_clip_name=f'ViT-B-{patch}-quickgelu')
        for patch in (16, 32)
    }
)


class ClipText(TextEncoder):
    """The text encoder of CLIP (Radford et al., 2021) in open_clip, with quick GELU.

    Prompts are encoded without a template. A prompt may have 75 tokens, besides its start and
    end tokens.
    """

    max_tokens = 77
    head_width = 64
    has_own_file = False  # the published checkpoints hold it

    def __init__(self, settings: ClipTextSettings) -> None:
        """Build the encoder with random weights."""
        from open_clip.tokenizer import SimpleTokenizer
        from open_clip.transformer import QuickGELU, TextTransformer

        super().__init__()
        self.dim = settings.dim
        self.tokenizer = SimpleTokenizer()
        self.net = TextTransformer(
            width=settings.width,
            heads=settings.width // self.head_width,
            layers=settings.layers,
            output_dim=settings.dim,
            act_layer=QuickGELU,
        )
        # Not part of a state dict, so it must be real even if the rest is on the meta device.
        with torch.device('cpu'):
            self.net.attn_mask = self.net.build_causal_mask()

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Return token ids [N, 77], padded with zeros.

        Raise ValueError for a prompt of more than 77 tokens.
        """
        tokens = torch.zeros(len(prompts), self.max_tokens, dtype=torch.long)
        start, end = self.tokenizer.all_special_ids[:2]
        for row, prompt in zip(tokens, prompts):
            ids = [start, *self.tokenizer.encode(prompt), end]
            if len(ids) > self.max_tokens:
                raise ValueError(
                    f'the prompt {_shorten(prompt)!r} has {len(ids)} tokens, but CLIP takes at '
                    f'most {self.max_tokens}: shorten it'
                )
            row[: len(ids)] = torch.tensor(ids)
        return tokens

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return unit rows [N, dim] on the encoder's device; raise as `tokenize` does."""
        return F.normalize(self.encode_raw(prompts), dim=1)

    @torch.no_grad()
    def encode_raw(self, prompts: Sequence[str]) -> Tensor:
        """Return rows as `encode` does, not scaled to unit length."""
        tokens = self.tokenize(prompts).to(self.net.text_projection.device)
        # The cache must not keep vectors in the lower precision of a caller's autocast.
        with torch.autocast(tokens.device.type, enabled=False):
            vectors: Tensor = self.net(tokens)
        return vectors


def _shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f'{text[:length]}...'
