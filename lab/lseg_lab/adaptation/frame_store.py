# SPDX-License-Identifier: Apache-2.0
"""Frames and what a teacher makes of them, on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lseg_lab.adaptation.camera import Camera
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import ImageGeometry
from lseg_ros.media.images import read_image
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
class FrameStore:
    """A folder with NAME.png, the frame, and NAME.npy, the teacher's grid, float16 [h, w, D].

    `input_size` and `stride` are the teacher's.
    """

    folder: Path
    input_size: int
    stride: int

    def has(self, frame: Frame) -> bool:
        """Return whether both files of a frame are there."""
        return self.grid_path(frame).is_file()  # which is written last

    def image(self, frame: Frame) -> np.ndarray:
        """Return a frame, uint8 RGB [H, W, 3]."""
        return read_image(self.image_path(frame))

    def embedding(self, frame: Frame, size: tuple[int, int]) -> ImageEmbedding:
        """Return the teacher's embedding of a frame of this height and width.

        Its vectors are not all unit vectors. Cells lie as without `align_corners`, which moves none
        of them by more than half a pixel.
        """
        cells = np.load(self.grid_path(frame)).astype(np.float32)
        grid = torch.from_numpy(cells).permute(2, 0, 1)
        return ImageEmbedding(grid, ImageGeometry.plan(size, self.input_size, self.stride), align_corners=False)

    def image_path(self, frame: Frame) -> Path:
        """Return the path of a frame's picture."""
        return self.folder / f'{frame.name}.png'

    def grid_path(self, frame: Frame) -> Path:
        """Return the path of the teacher's grid of a frame."""
        return self.folder / f'{frame.name}.npy'


def open_store(folder: Path, teacher: LSeg, cameras: Sequence[Camera], cells: int) -> FrameStore:
    """Open or create the folder for a teacher, cameras and the least short side of its grids.

    Raise ValueError if it was made for others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        'teacher': [teacher.name, weight_digest(teacher.state_dict())],
        'images': [[camera.name, camera.count] for camera in cameras],
        'resolution': cells,
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
