# SPDX-License-Identifier: Apache-2.0
"""Position embeddings of vision transformers, resized to the grid of an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Grid: TypeAlias = tuple[int, int]  # rows and columns of patches
MAX_GRIDS = 8  # resized embeddings kept


class PositionCache:
    """Resizes a position embedding once per grid.

    The cache is never modified, only replaced, so threads need no lock. Nothing is cached in
    training, which changes the embedding, in tracing, where it is symbolic, and in a CUDA graph,
    which would outlive the cached tensor.
    """

    def __init__(self, resize: Callable[[Tensor, Grid], Tensor]) -> None:
        """Cache the results of `resize`."""
        self._resize = resize
        self._known: dict[tuple[Any, ...], Tensor] = {}
        self._fixed: Tensor | None = None

    def fix(self, embedding: Tensor, grid: Grid) -> None:
        """Return `embedding`, resized to `grid`, from now on, whatever is asked."""
        self._fixed = self._resize(embedding, grid).detach()

    def __call__(self, embedding: Tensor, grid: Grid) -> Tensor:
        """Return `embedding`, resized to `grid`, in its own dtype."""
        if self._fixed is not None:
            return self._fixed
        if (
            embedding.requires_grad
            or torch.compiler.is_compiling()
            or torch.jit.is_tracing()
            or (embedding.is_cuda and torch.cuda.is_current_stream_capturing())
        ):
            return self._resize(embedding, grid)
        version = 0 if embedding.is_inference() else embedding._version
        key = (*grid, embedding.dtype, embedding.device, version)
        known = self._known
        if key not in known:
            kept = list(known.items())[-(MAX_GRIDS - 1) :]
            known = self._known = {**dict(kept), key: self._resize(embedding, grid)}
        return known[key]


def resize_with_class_token(embedding: Tensor, grid: Grid) -> Tensor:
    """Resize the position embedding [1, 1 + n * n, dim] of a class token and a square grid.

    The grid's part is interpolated bilinearly without aligned corners, as in DPT.
    """
    token, square = embedding[:, :1], embedding[:, 1:]
    return torch.cat((token, _interpolate(square, grid, 'bilinear', antialias=False)), dim=1)


def resize_antialiased(embedding: Tensor, grid: Grid, mode: str) -> Tensor:
    """Resize the position embedding [1, n * n, dim] of a square grid.

    `mode` is bilinear or bicubic; where the grid shrinks, the embedding is smoothed first.
    """
    return _interpolate(embedding, grid, mode, antialias=True)


def _interpolate(square: Tensor, grid: Grid, mode: str, *, antialias: bool) -> Tensor:
    """Interpolate in float32: PyTorch has no antialiasing in half precision on a CPU."""
    side = math.isqrt(square.shape[1])
    planes = square.float().transpose(1, 2).reshape(1, -1, side, side)
    resized = F.interpolate(planes, size=grid, mode=mode, align_corners=False, antialias=antialias)
    return resized.flatten(2).transpose(1, 2).to(square.dtype)
