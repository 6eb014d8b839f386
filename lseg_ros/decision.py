# SPDX-License-Identifier: Apache-2.0
"""From scores on the network's grid to a class and its score for each pixel of a larger grid.

Both ways below choose, for each pixel, the class whose bilinearly interpolated score is highest.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

# Planes that are enlarged together on a GPU; this bounds the memory that many classes take.
PLANES = 32
# Values that are interpolated together on a CPU: they stay in its cache.
CHUNK = 1 << 18


def decide(scores: Tensor, class_ids: Tensor, size: tuple[int, int],
           step: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return the id of each pixel's best class, uint8 [H, W], and its score, float32 [H, W].

    `scores` is float32 [C, h, w], `class_ids` uint8 [C], `size` is (H, W), and `step` the cells
    of the grid, down and across, that one pixel takes. Of equal scores any may win.
    """
    if scores.is_cuda:
        return decide_by_planes(scores, class_ids, size, step)
    # A class that wins in no cell hardly ever wins between two.
    candidates = scores.max(0).indices.unique()
    return decide_by_seams(scores[candidates], class_ids[candidates], size, step)


def decide_by_planes(scores: Tensor, class_ids: Tensor, size: tuple[int, int],
                     step: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Enlarge the plane of every class, then compare: the fewest launches, no wait for a GPU."""
    best, ids = None, None
    for planes, names in zip(scores.split(PLANES), class_ids.split(PLANES)):
        score, winner = interpolate(planes[None], size, step)[0].max(0)
        chosen = names[winner]
        if best is not None:
            chosen = torch.where(score > best, chosen, ids)
            score = torch.maximum(score, best)
        best, ids = score, chosen
    return ids, best


def decide_by_seams(scores: Tensor, class_ids: Tensor, size: tuple[int, int],
                    step: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Enlarge downwards, then across, and there compare the classes only where the winner changes.

    Between two neighbours in a row that one class wins, it wins throughout, and its score is the
    interpolated score of the winner: both are copied for most pixels of an image.
    """
    height, width = size
    columns = scores.shape[2]
    planes = scores[None].contiguous(memory_format=torch.channels_last)
    rows = interpolate(planes, (height, columns), (step[0], 1.0))[0].permute(1, 2, 0).contiguous()
    best, winner = rows.max(-1)
    score = interpolate(best[None, None], size, (1.0, step[1]))[0, 0].contiguous()
    left, weight = _sources(width, columns, step[1])
    names, winner = class_ids.numpy(), winner.numpy()
    ids = np.take(names[winner], left, axis=1)
    y, x = _between(winner[:, 1:] != winner[:, :-1], left)
    cells = rows.view(-1, rows.shape[2])
    for part in _chunks(len(y), CHUNK // rows.shape[2]):
        cell = torch.from_numpy(y[part] * columns + left[x[part]])
        share = torch.from_numpy(weight[x[part]])[:, None]
        top, index = torch.lerp(cells[cell], cells[cell + 1], share).max(-1)
        pixel = y[part] * width + x[part]
        ids.reshape(-1)[pixel] = names[index.numpy()]
        score.view(-1).numpy()[pixel] = top.numpy()
    return torch.from_numpy(ids), score


def interpolate(planes: Tensor, size: tuple[int, int], step: tuple[float, float]) -> Tensor:
    """Resize [B, C, h, w] bilinearly to `size`, where a pixel takes `step` cells.

    `torch.nn.functional.interpolate` takes a size or a scale; the scores of a padded image, from
    which the padding is cut off at the same time, need both.
    """
    return torch.ops.aten.upsample_bilinear2d(planes, size, False, 1 / step[0], 1 / step[1])


@lru_cache(maxsize=16)
def _sources(pixels: int, cells: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of `pixels` the cell at its left, int64, and the share of the next one."""
    source = np.clip((np.arange(pixels) + 0.5) * step - 0.5, 0, cells - 1)
    left = np.floor(source).astype(np.int64)
    return left, (source - left).astype(np.float32)


def _between(changes: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return y and x of the pixels between two cells where `changes` [H, w - 1] is true."""
    y, cell = np.nonzero(changes)
    first = np.searchsorted(left, np.arange(changes.shape[1] + 1))
    count = np.diff(first)
    offset = np.arange(count.max(initial=0))
    inside = offset < count[cell, None]
    x = (first[cell, None] + offset)[inside]
    return np.repeat(y, count[cell]), x


def _chunks(length: int, size: int) -> list[slice]:
    size = max(1, size)
    return [slice(start, start + size) for start in range(0, length, size)]
