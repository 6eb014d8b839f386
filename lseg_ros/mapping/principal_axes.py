# SPDX-License-Identifier: Apache-2.0
"""Axes that keep most of many vectors in fewer numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_axes(vectors: Tensor, dimensions: int) -> Tensor:
    """Return the axes, orthonormal float32 [D, dimensions], that keep most of vectors [N, D].

    The mean is not subtracted: so products with other vectors, which are the cosines that labels
    are chosen by, change least (Eckart & Young, 1936).
    """
    values = vectors.float()
    _, axes = torch.linalg.eigh((values.T @ values).double())  # ascending
    return axes[:, -dimensions:].flip(1).float().contiguous()
