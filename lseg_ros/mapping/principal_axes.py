# SPDX-License-Identifier: Apache-2.0
"""Axes that keep most of many vectors in fewer numbers."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 65_536  # vectors that are turned into float32 at once


def principal_axes(vectors: Tensor, dimensions: int) -> Tensor:
    """Return the axes, orthonormal float32 [D, dimensions], that keep most of vectors [N, D].

    The mean is not subtracted: so products with other vectors, which are the cosines that labels
    are chosen by, change least (Eckart & Young, 1936).
    """
    products = torch.zeros(vectors.shape[1], vectors.shape[1], dtype=torch.float64)
    for part in vectors.split(_BLOCK):
        products += part.float().T @ part.float()
    _, axes = torch.linalg.eigh(products)  # ascending
    return axes[:, -dimensions:].flip(1).float().contiguous()


def along_axes(vectors: Tensor, axes: Tensor) -> Tensor:
    """Return vectors [N, D] along axes [D, dimensions], float16 [N, dimensions]."""
    result = torch.empty(len(vectors), axes.shape[1], dtype=torch.float16)
    for part, out in zip(vectors.split(_BLOCK), result.split(_BLOCK)):
        out.copy_(part.float() @ axes)
    return result
