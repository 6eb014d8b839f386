# SPDX-License-Identifier: Apache-2.0
"""One pass of the teacher over chosen frames, whose results go to disk."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence

import cv2
import numpy as np
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from lseg_lab.adaptation.camera import Camera
from lseg_lab.adaptation.frame_store import Frame, FrameStore
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.media.embedding_files import write_embedding
from lseg_ros.media.images import write_image

SHORT_SIDE = 480  # pixels; frames are stored no larger, unless the teacher uses more


def choose_frames(cameras: Sequence[Camera], limit: int) -> list[Frame]:
    """Return at most about `limit` frames, every n-th of each camera."""
    step = max(1, -(-sum(camera.count for camera in cameras) // limit))
    return [Frame(index, n) for index, camera in enumerate(cameras) for n in range(0, camera.count, step)]


class TeacherPass:
    """Computes a teacher's embeddings of frames, and writes them to a store.

    Grids that are finer than the student's are averaged over blocks of cells.
    """

    def __init__(self, teacher: Segmenter, cameras: Sequence[Camera], store: FrameStore, cells: int) -> None:
        """Prepare; `cells` is the least short side of a grid that has been averaged."""
        self._teacher, self._cameras, self._store, self._cells = teacher, cameras, store, cells

    def run(self, frames: Sequence[Frame]) -> list[Frame]:
        """Compute and write what is missing; return the frames that are there in the end.

        Raise OSError if the disk is too small, as soon as the first frame shows it.
        """
        missing = [frame for frame in frames if not self._store.has(frame)]
        with tqdm(total=len(frames), initial=len(frames) - len(missing), desc='teacher', unit='frame') as bar:
            checked = False
            for index, camera in enumerate(self._cameras):
                numbers = [frame.number for frame in missing if frame.camera == index]
                for number, image in camera.read(numbers) if numbers else ():
                    size = self._add(Frame(index, number), image)
                    bar.update()
                    if not checked:
                        self._check_space(size, len(missing) - 1)
                        checked = True
        return [frame for frame in frames if self._store.has(frame)]

    def _add(self, frame: Frame, image: np.ndarray) -> int:
        """Write the files of one frame; return their size in bytes."""
        image = _reduced(image, max(SHORT_SIDE, self._store.input_size))
        cells = _averaged(self._teacher.embed(image).grid, self._cells).permute(1, 2, 0)
        height, width, dim = cells.shape
        picture, grid = self._store.image_path(frame), self._store.grid_path(frame)
        write_image(picture, image)
        write_embedding(grid, (height, width, dim), [(0, cells)])
        return picture.stat().st_size + grid.stat().st_size

    def _check_space(self, size: int, count: int) -> None:
        folder = self._store.folder
        free = shutil.disk_usage(folder).free
        needed = size * count
        tqdm.write(f'embeddings: {needed / 1e9:.1f} GB more in {folder}, of {free / 1e9:.1f} GB free')
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f'{count} more frames need {needed / 1e9:.1f} GB in {folder}, which has {free / 1e9:.1f} GB '
                'free: use fewer --frames, or set --work to a folder on a larger disk',
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
