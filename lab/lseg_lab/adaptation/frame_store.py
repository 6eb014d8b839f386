# SPDX-License-Identifier: Apache-2.0
"""Frames, views of them, and what a teacher makes of both, on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lseg_lab.adaptation.camera import Camera
from lseg_lab.adaptation.view_shape import ViewShape
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import ImageGeometry
from lseg_ros.media.embedding_files import write_embedding
from lseg_ros.media.images import read_image, write_image
from lseg_ros.model import LSeg
from lseg_ros.model.weight_digest import weight_digest
from lseg_ros.whole_files import write_whole

_MANIFEST = 'frames.json'


@dataclass(frozen=True)
class Frame:
    """A frame of a camera, by their numbers."""

    camera: int
    number: int

    @property
    def name(self) -> str:
        """The name of the frame's files, without suffix."""
        return f'{self.camera:02}_{self.number:06}'


@dataclass(frozen=True)
class View:
    """One of the pictures that are made of a frame to train on, counted from 1."""

    camera: int
    number: int
    index: int

    @property
    def name(self) -> str:
        """The name of the view's files, without suffix."""
        return f'{Frame(self.camera, self.number).name}_{self.index:02}'

    @property
    def first(self) -> tuple[int, int]:
        """Row and column, 0 or 1, of the first cell of the student's grid that has a target."""
        return divmod((self.number + self.index) % 4, 2)


@dataclass(frozen=True)
class FrameStore:
    """A folder with NAME.png, a picture, and NAME.npy, the teacher's vectors, float16 [h, w, D].

    Those of a frame are the teacher's grid. Those of a view belong to every second cell of the
    student's grid, from the view's `first` on. `input_size` and `stride` are the teacher's.
    """

    folder: Path
    input_size: int
    stride: int

    def has(self, item: Frame | View) -> bool:
        """Return whether both files are there."""
        return self._vectors_path(item).is_file()  # which is written last

    def write(self, item: Frame | View, picture: np.ndarray, vectors: Tensor) -> int:
        """Write a picture, uint8 [H, W, 3], and vectors [h, w, D]; return the size in bytes."""
        height, width, dim = vectors.shape
        paths = self._picture_path(item), self._vectors_path(item)
        write_image(paths[0], picture)
        write_embedding(paths[1], (height, width, dim), [(0, vectors)])
        return sum(path.stat().st_size for path in paths)

    def image(self, item: Frame | View) -> np.ndarray:
        """Return the picture of a frame or view, uint8 RGB [H, W, 3]."""
        return read_image(self._picture_path(item))

    def targets(self, view: View) -> np.ndarray:
        """Return the teacher's vectors of a view, float16 [h, w, D], not all unit vectors."""
        vectors: np.ndarray = np.load(self._vectors_path(view))
        return vectors

    def embedding(self, frame: Frame, size: tuple[int, int]) -> ImageEmbedding:
        """Return the teacher's embedding of a frame of this height and width.

        Its vectors are not all unit vectors. Cells lie as without `align_corners`, which moves none
        of them by more than half a pixel.
        """
        cells = np.load(self._vectors_path(frame)).astype(np.float32)
        grid = torch.from_numpy(cells).permute(2, 0, 1)
        return ImageEmbedding(grid, ImageGeometry.plan(size, self.input_size, self.stride), align_corners=False)

    def _picture_path(self, item: Frame | View) -> Path:
        return self.folder / f'{item.name}.png'

    def _vectors_path(self, item: Frame | View) -> Path:
        return self.folder / f'{item.name}.npy'


def open_store(folder: Path, teacher: LSeg, cameras: Sequence[Camera], cells: int, shape: ViewShape) -> FrameStore:
    """Open or create the folder for a teacher, cameras, and the shape of views.

    `cells` is the least short side of the grids of whole frames. Raise ValueError if the folder was
    made for others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        'teacher': [teacher.name, weight_digest(teacher.state_dict())],
        'images': [[camera.name, camera.count] for camera in cameras],
        'resolution': cells,
        'views': [*shape.size, shape.student],
    }
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        write_whole(manifest, json.dumps(facts, indent=2) + '\n')
    earlier = json.loads(manifest.read_text(encoding='utf-8'))
    if changed := [name for name, value in facts.items() if earlier.get(name) != value]:
        raise ValueError(
            f'{folder} holds embeddings of other {" and ".join(changed)}: remove it, or choose another --work'
        )
    return FrameStore(folder, teacher.input_size, teacher.stride)
