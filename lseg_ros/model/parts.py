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


class Decoder(nn.Module):
    """Turns feature maps into pixel embeddings [B, D, h, w], not yet normalised."""

    @property
    def projection(self) -> nn.Conv2d:
        """Return the last layer, a 1x1 convolution to the D channels of the embeddings."""
        raise NotImplementedError


class TextEncoder(nn.Module):
    """Turns prompts into unit vectors; never trained."""

    dim: int  # of the vectors, D
    has_own_file: bool  # whether LSeg's weights files leave it out

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return one unit row per prompt, [N, D]."""
        raise NotImplementedError
