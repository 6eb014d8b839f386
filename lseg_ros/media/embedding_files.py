# SPDX-License-Identifier: Apache-2.0
"""Embeddings as .npy files, which can be memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from lseg_ros.whole_files import whole_file


def write_embedding(path: Path, shape: tuple[int, int, int], bands: Iterable[tuple[int, Tensor]]) -> None:
    """Write an array of `shape` [H, W, D], float16, from bands (first row, rows [n, W, D]).

    Only one band is in memory at a time, and nothing appears at `path` until all are written. The
    file is not mapped into memory: on a full disk that would kill the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part, part.open('wb') as file:
        facts = {'descr': np.lib.format.dtype_to_descr(np.dtype(np.float16)), 'fortran_order': False, 'shape': shape}
        np.lib.format.write_array_header_1_0(file, facts)
        start = file.tell()
        row_bytes = shape[1] * shape[2] * np.dtype(np.float16).itemsize
        for first, rows in bands:
            file.seek(start + first * row_bytes)
            file.write(rows.half().cpu().numpy().tobytes())
