# SPDX-License-Identifier: Apache-2.0
"""One pass of the teacher over chosen frames or views of them, whose results go to disk."""

from __future__ import annotations

import dataclasses
import errno
import shutil
from collections.abc import Callable, Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from lseg_lab.adaptation.camera import Camera
from lseg_lab.adaptation.frame_store import Frame, FrameStore, View
from lseg_lab.adaptation.view_shape import ViewShape
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.segmenter import Segmenter

SHORT_SIDE = 480  # pixels; frames are stored no larger, unless the teacher uses more
CELL = 4  # pixels that a cell of the student's grid spans in each direction
# Cells of the student's grid are redundant: every second one in each direction is enough.
STEP = 2

Item = TypeVar('Item', Frame, View)


def choose_frames(cameras: Sequence[Camera], limit: int) -> list[Frame]:
    """Return at most about `limit` frames, every n-th of each camera."""
    step = max(1, -(-sum(camera.count for camera in cameras) // limit))
    return [Frame(index, n) for index, camera in enumerate(cameras) for n in range(0, camera.count, step)]


class TeacherPass:
    """Computes a teacher's embeddings of frames and of views of them, and writes them to a store.

    Grids that are finer than the student's are averaged over blocks of cells.
    """

    def __init__(self, teacher: Segmenter, cameras: Sequence[Camera], store: FrameStore, cells: int) -> None:
        """Prepare; `cells` is the least short side of a grid that has been averaged."""
        self._teacher, self._cameras, self._store, self._cells = teacher, cameras, store, cells

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """Compute and write what is missing of whole frames; return those that are there.

        Raise OSError if the disk is too small, as soon as the first frame shows it.
        """

        def embed(_frame: Frame, image: np.ndarray) -> tuple[np.ndarray, Tensor]:
            image = _reduced(image, max(SHORT_SIDE, self._store.input_size))
            return image, _averaged(self._teacher.embed(image).grid, self._cells).permute(1, 2, 0)

        return self._run(frames, embed, 'frame')

    def views(self, frames: Sequence[Frame], count: int, shape: ViewShape) -> list[View]:
        """Compute and write what is missing of `count` views of each frame; return those there.

        A view depends only on its camera, number and index. Raise OSError as `frames` does.
        """

        def embed(view: View, image: np.ndarray) -> tuple[np.ndarray, Tensor]:
            rng = np.random.default_rng(dataclasses.astuple(view))
            ours, theirs = shape.draw(image, view.index, rng)
            embedding = self._teacher.embed(theirs)
            grid = _averaged(embedding.grid, shape.size[0] // CELL)
            return ours, _cells(dataclasses.replace(embedding, grid=grid, align_corners=False), shape.size, view.first)

        return self._run([View(f.camera, f.number, n) for f in frames for n in range(1, count + 1)], embed, 'view')

    def _run(
        self, items: Sequence[Item], embed: Callable[[Item, np.ndarray], tuple[np.ndarray, Tensor]], unit: str
    ) -> list[Item]:
        missing = [item for item in items if not self._store.has(item)]
        with tqdm(total=len(items), initial=len(items) - len(missing), desc='teacher', unit=unit) as bar:
            checked = False
            for index, camera in enumerate(self._cameras):
                wanted: dict[int, list[Item]] = {}
                for item in missing:
                    if item.camera == index:
                        wanted.setdefault(item.number, []).append(item)
                for number, image in camera.read(sorted(wanted)) if wanted else ():
                    for item in wanted[number]:
                        size = self._store.write(item, *embed(item, image))
                        bar.update()
                        if not checked:
                            self._check_space(size, len(missing) - 1, unit)
                            checked = True
        return [item for item in items if self._store.has(item)]

    def _check_space(self, size: int, count: int, unit: str) -> None:
        folder = self._store.folder
        free = shutil.disk_usage(folder).free
        needed = size * count
        tqdm.write(f'embeddings: {needed / 1e9:.1f} GB more in {folder}, of {free / 1e9:.1f} GB free')
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f'{count} more {unit}s need {needed / 1e9:.1f} GB in {folder}, which has {free / 1e9:.1f} GB free: '
                'use fewer --frames or --views, or set --work to a folder on a larger disk',
            )


def _reduced(image: np.ndarray, short: int) -> np.ndarray:
    """Reduce an image to a short side of at most `short` pixels."""
    height, width = image.shape[:2]
    scale = short / min(height, width)
    if scale >= 1:
        return image
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def _averaged(grid: Tensor, least: int) -> Tensor:
    """Average [D, h, w] over square blocks, as large as keeps the short side at `least` or more."""
    height, width = grid.shape[1:]
    block = 1
    while min(height, width) >= 2 * block * least and not height % (2 * block) and not width % (2 * block):
        block *= 2
    return F.avg_pool2d(grid, block)


def _cells(embedding: ImageEmbedding, size: tuple[int, int], first: tuple[int, int]) -> Tensor:
    """Return [h, w, D]: the embedding at every STEP-th cell of the student's grid, from `first` on.

    `size` is that of the view in the student's pixels.
    """
    places = []
    for axis, (start, side) in enumerate(zip(first, size)):
        pixels = (np.arange(start, side // CELL, STEP) + 0.5) * CELL * embedding.geometry.image[axis] / side - 0.5
        scale, offset = embedding.cell_of_pixel(axis)
        last = max(embedding.grid.shape[1 + axis] - 1, 1)
        places.append(torch.from_numpy(2 * (scale * pixels + offset) / last - 1).float())  # as grid_sample wants them
    rows, columns = torch.meshgrid(*places, indexing='ij')
    positions = torch.stack((columns, rows), -1)[None].to(embedding.grid.device)
    cells = F.grid_sample(embedding.grid[None], positions, padding_mode='border', align_corners=True)
    return cells[0].permute(1, 2, 0)
