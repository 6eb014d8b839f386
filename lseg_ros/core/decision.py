# SPDX-License-Identifier: Apache-2.0
"""Choose each pixel's class: the one whose bilinearly interpolated score is highest.

Scores lie on the network's grid, pixels on a larger one. A GPU and a CPU get there in two ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from lseg_ros.core.geometry import nearest

# Planes enlarged together on a GPU; this bounds the memory needed for many classes.
PLANES = 32
# Values interpolated together on a CPU; they fit into its cache.
CHUNK = 1 << 18


def decide(
    scores: Tensor, class_ids: Tensor, size: tuple[int, int], step: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return the id of each pixel's best class, uint8 [H, W], and its score, float32 [H, W].

    `scores` is float32 [C, h, w], `class_ids` uint8 [C], `size` is (H, W), and `step` the number
    of grid cells, down and across, that one pixel spans. Of equal scores, any may win.
    """
    if scores.is_cuda:
        return decide_by_planes(scores, class_ids, size, step)
    # A class that wins in no cell hardly ever wins between two. NumPy finds the winners several
    # times as fast, if the scores of a cell are contiguous.
    cells = scores.movedim(0, -1).contiguous()
    winners = torch.from_numpy(np.flatnonzero(np.bincount(cells.numpy().argmax(-1).ravel())))
    return decide_by_seams(scores[winners], class_ids[winners], size, step)


def decide_by_planes(
    scores: Tensor, class_ids: Tensor, size: tuple[int, int], step: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Enlarge the plane of every class, then compare: few kernel launches, no wait for a GPU."""

    def winners(planes: Tensor, plane_ids: Tensor) -> tuple[Tensor, Tensor]:
        score, winner = interpolate(planes[None], size, step)[0].max(0)
        return plane_ids[winner], score

    chunks = zip(scores.split(PLANES), class_ids.split(PLANES))
    ids, best = winners(*next(chunks))
    for planes, plane_ids in chunks:
        chosen, score = winners(planes, plane_ids)
        ids = torch.where(score > best, chosen, ids)
        best = torch.maximum(score, best)
    return ids, best


def decide_by_seams(
    scores: Tensor, class_ids: Tensor, size: tuple[int, int], step: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Enlarge across, then down, comparing the classes only where the winner changes.

    Where one class wins two neighbouring cells of a column, it wins every pixel between them, and
    its score is interpolated between the two: for most pixels no other class is looked at.
    """
    height, width = size
    planes = scores[None].contiguous(memory_format=torch.channels_last)
    rows = interpolate(planes, (scores.shape[1], width), (1.0, step[1]))[0].permute(1, 2, 0)
    cells = rows.reshape(-1, rows.shape[2])
    best, winner = (part.view(-1, width) for part in cells.max(1))
    above, below, weight = _sources(height, len(best), step[0])
    # index_select and take are fastest at copying whole rows and vectors.
    score = torch.lerp(best.index_select(0, above), best.index_select(0, below), weight[:, None])
    names = class_ids.numpy()
    ids = names.take(winner.numpy()).take(above.numpy(), axis=0)
    for y, x in _between((winner[1:] != winner[:-1]).numpy(), above.numpy(), CHUNK // len(scores)):
        top = torch.from_numpy(above.numpy().take(y) * width + x)
        share = weight.index_select(0, torch.from_numpy(y))
        values = torch.lerp(cells.index_select(0, top), cells.index_select(0, top + width), share[:, None])
        best, winner = values.max(1)
        pixels = y * width + x
        score.view(-1).scatter_(0, torch.from_numpy(pixels), best)
        ids.reshape(-1).put(pixels, names.take(winner.numpy()))
    return torch.from_numpy(ids), score


def interpolate(planes: Tensor, size: tuple[int, int], step: tuple[float, float]) -> Tensor:
    """Resize [B, C, h, w] bilinearly to `size`, where a pixel spans `step` cells.

    `torch.nn.functional.interpolate` takes either a size or a scale. Cutting off the padding in
    the same step needs both.
    """
    down, across = step
    resized: Tensor = torch.ops.aten.upsample_bilinear2d(planes, size, False, 1 / down, 1 / across)
    return resized


def sample(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 [N, h, w] to `size` by nearest neighbour."""
    height, width = planes.shape[1:]
    if (height, width) == size:
        return planes
    rows, columns = nearest(height, size[0]), nearest(width, size[1])
    sampled = np.empty((len(planes), *size), np.uint8)
    for plane, result in zip(planes, sampled):
        # Copying whole rows, across as well as down, is several times as fast as copying pixels.
        across = cv2.transpose(cv2.transpose(plane).take(columns, axis=0))
        across.take(rows, axis=0, out=result, mode='clip')  # mode raise would copy once more
    return sampled


@lru_cache(maxsize=16)
def _sources(pixels: int, cells: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each pixel of a column, the cell above, the cell below and the latter's weight.

    Indices are int64, weights float32.
    """
    source = ((torch.arange(pixels, dtype=torch.float64) + 0.5) * step - 0.5).clamp(0, cells - 1)
    above = source.long()
    return above, (above + 1).clamp(max=cells - 1), (source - above).float()


def _between(changes: np.ndarray, above: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield y and x of the pixels below a cell where `changes` [h - 1, W] is true.

    `above` is the cell above each y. Each step yields about `size` pixels.
    """
    first = np.searchsorted(above, np.arange(len(changes) + 1))
    count = np.diff(first)
    cell, x = np.nonzero(changes)
    offset = np.arange(count.max(initial=0))
    step = max(1, size // max(1, len(offset)))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        inside = offset < count[cell[part], None]
        yield (first[cell[part], None] + offset)[inside], np.repeat(x[part], count[cell[part]])
