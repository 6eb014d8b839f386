# SPDX-License-Identifier: Apache-2.0
"""The text encoder of TIPSv2 (Google DeepMind, 2026, arXiv 2604.12012)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from lseg_ros.model.parts import TextEncoder
from lseg_ros.model.templates import check_templates, encode_templates


@dataclass(frozen=True)
class TipsTextSettings:
    """The sizes of one of TIPS's text encoders, and the templates of its prompts."""

    dim: int
    layers: int
    heads: int
    feedforward: int
    vocabulary: int
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for unusable templates."""
        check_templates(self.templates)


class TipsText(TextEncoder):
    """A transformer over word pieces, whose mean over the tokens is the vector of a text.

    A prompt is put into each template; the vectors, scaled to unit length, are averaged. A text
    may have 64 tokens. The tokenizer comes with the weights.
    """

    max_tokens = 64
    has_own_file = False

    def __init__(self, settings: TipsTextSettings) -> None:
        """Build the network with random weights and without a tokenizer."""
        super().__init__()
        self.dim = settings.dim
        self.vocabulary = settings.vocabulary
        self.templates = settings.templates
        self.tokenizer: Tokenizer | None = None
        self.words = nn.Embedding(settings.vocabulary, self.dim)
        layer = nn.TransformerEncoderLayer(
            self.dim,
            nhead=settings.heads,
            dim_feedforward=settings.feedforward,
            dropout=0.0,
            activation='relu',
            layer_norm_eps=1e-5,
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(self.dim, eps=1e-5)
        self.layers = nn.TransformerEncoder(layer, settings.layers, norm, enable_nested_tensor=False)

    @property
    def stored_tokenizer(self) -> str:  # type: ignore[override]
        """The tokenizer as JSON, or nothing without one."""
        return self.tokenizer.to_str() if self.tokenizer else ''

    def read_tokenizer(self, stored: str) -> None:
        """Use a tokenizer in the JSON of `tokenizers`; raise ValueError if it does not fit."""
        try:
            tokenizer = Tokenizer.from_str(stored)
        except Exception as error:  # tokenizers raises nothing more precise
            raise ValueError(f'has no usable tokenizer: {error}') from error
        if tokenizer.get_vocab_size() != self.vocabulary:
            raise ValueError(
                f'has the tokenizer of another model, with {tokenizer.get_vocab_size()} word '
                f'pieces, not {self.vocabulary}'
            )
        self.tokenizer = tokenizer

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return token ids, and a mask that is True where there is none, both [N, T].

        Raise ValueError without a tokenizer, or for a text without tokens or with more than 64.
        """
        if self.tokenizer is None:
            raise ValueError('this network has no tokenizer: load it from its weights')
        rows = []
        for text in texts:
            # One at a time: a batch would start the tokenizer's own threads for no gain.
            ids = self.tokenizer.encode(text).ids
            if not 0 < len(ids) <= self.max_tokens:
                change = 'shorten the prompt' if ids else 'give a prompt with words'
                raise ValueError(
                    f'the text {text[:60]!r} has {len(ids)} tokens, but TIPS takes 1 to {self.max_tokens}: {change}'
                )
            rows.append(torch.tensor(ids))
        tokens = pad_sequence(rows, batch_first=True)
        padding = pad_sequence([torch.zeros_like(row, dtype=torch.bool) for row in rows], True, padding_value=True)
        return tokens, padding

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        """Return rows [N, D], not of unit length, for what `tokenize` returns."""
        x = self.words(tokens) * math.sqrt(self.dim)
        x = self.layers(x + _positions(tokens.shape[1], self.dim, x), src_key_padding_mask=padding)
        weights = (~padding).unsqueeze(-1).to(x.dtype)
        mean: Tensor = (x * weights).sum(1) / weights.sum(1)
        return mean

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return unit rows [N, D] on the encoder's device; raise as `tokenize` does."""
        return F.normalize(encode_templates(self._encode_texts, prompts, self.templates), dim=1)

    def _encode_texts(self, texts: Sequence[str]) -> Tensor:
        device = self.words.weight.device
        # The cache must not keep vectors in the lower precision of a caller's autocast.
        with torch.autocast(device.type, enabled=False):
            return F.normalize(self.forward(*(part.to(device) for part in self.tokenize(texts))), dim=1)


def _positions(count: int, dim: int, like: Tensor) -> Tensor:
    """Return sinusoidal position embeddings [count, dim]: all sines, then all cosines."""
    half = dim // 2
    frequencies = torch.exp(torch.arange(half, device=like.device) * (-math.log(10000) / (half - 1)))
    angles = torch.arange(count, device=like.device)[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=1).to(like.dtype)
