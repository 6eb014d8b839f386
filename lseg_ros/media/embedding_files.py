# SPDX-License-Identifier: Apache-2.0
"""Embeddings as .npy files, which can be memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import Tensor


def write_embedding(path: Path, shape: tuple[int, int, int], bands: Iterable[tuple[int, Tensor]]) -> None:
    """Write an array of `shape` [H, W, D], float16, from bands (first row, rows [n, W, D]).

    Only one band is in memory at a time, and nothing appears at `path` until all are written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    values = np.lib.format.open_memmap(part, 'w+', np.float16, shape)
    for first, rows in bands:
        values[first : first + len(rows)] = rows.half().cpu().numpy()
        values.flush()
    part.replace(path)
