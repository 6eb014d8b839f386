# SPDX-License-Identifier: Apache-2.0
"""The ground truth of the demo's recorded drive: masks and poses of its cameras."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lseg_lab.opencv_files import read_opencv
from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.sources import recorded_drive

CAMERAS = ('front', 'left', 'rear')


class DriveTruth:
    """Poses and true masks of one camera's frames; len() is the number of frames."""

    def __init__(self, camera: str = CAMERAS[0], folder: Path | None = None) -> None:
        """Read the poses; raise OSError if the folder has no such camera.

        `folder` is the folder of a recording; by default the demo's recorded drive.
        """
        folder = folder or recorded_drive()
        record = json.loads((folder / camera / 'camera.json').read_text(encoding='utf-8'))
        # 4 x 4, from the optical frame (x right, y down, z forward) to the flat (z up), metres
        self.poses = np.array(record['poses'])
        self.classes = tuple((folder / 'classes.txt').read_text(encoding='utf-8').split('\n')[:-1])
        self._masks = folder / camera / 'mask'

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.poses)

    def mask(self, number: int) -> np.ndarray:
        """Return each pixel's index into `classes`, uint8 [H, W]; raise OSError if unreadable."""
        path = self._masks / f'{number:03d}.png'
        mask = read_opencv(path, cv2.IMREAD_UNCHANGED)
        if mask is None:
            raise OSError(f'{path} cannot be read as a mask')
        return mask


def ids_by_class(labels: LabelSet, classes: Sequence[str]) -> np.ndarray:
    """Return uint8 [256]: the id of the label that has a true class among its prompts.

    Classes that no label asks for map to 255: their pixels are not counted.
    """
    table = np.full(256, UNLABELLED, np.uint8)
    for label in labels.classes:
        for prompt in label.prompts:
            if prompt in classes:
                table[classes.index(prompt)] = label.id
    return table
