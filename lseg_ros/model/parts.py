# SPDX-License-Identifier: Apache-2.0
"""What LSeg expects of its three parts: image encoder, decoder and text encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ImageEncoder(nn.Module):
    """Turns normalised pixels [B, 3, H, W] into feature maps, fine to coarse."""

    stride: int  # H and W must be multiples of it
    any_size: bool  # whether a trace made at one image size is valid for all
    channels: tuple[int, ...]  # of the feature maps

    def fix_size(self, height: int, width: int) -> None:
        """Serve pixels of this size alone from now on, so that an exported network is simpler."""


class Decoder(nn.Module):
    """Turns feature maps into pixel embeddings [B, D, h, w], not yet normalised."""

    @property
    def projection(self) -> nn.Conv2d | None:
        """Return the last layer, if it is a 1x1 convolution to the D channels of the embeddings."""
        return None


class TextEncoder(nn.Module):
    """Turns prompts into unit vectors; never trained."""

    dim: int  # of the vectors, D
    has_own_file: bool  # whether LSeg's weights files leave it out
    templates: tuple[str, ...] = ('{}',)  # whose vectors are averaged for each prompt
    stored_tokenizer: str = ''  # for LSeg's weights files, if the tokenizer belongs to the weights

    def read_tokenizer(self, stored: str) -> None:
        """Use the tokenizer that a weights file stores; raise ValueError if it does not fit."""
        if stored:
            raise ValueError('has a tokenizer, but its text encoder comes with one of its own')

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return one unit row per prompt, [N, D]."""
        raise NotImplementedError
