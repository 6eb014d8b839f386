# SPDX-License-Identifier: Apache-2.0
"""What is true of the recorded drive of the demo: masks and poses of its cameras."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.sources import recorded_drive

CAMERAS = ('front', 'left', 'rear')


class DriveTruth:
    """Poses and true masks of one camera's frames; len() is the number of frames."""

    def __init__(self, camera: str = CAMERAS[0], folder: Path | None = None) -> None:
        """Read the poses; raises OSError when the folder has no such camera.

        `folder` is that of a recording; by default the recorded drive of the demo.
        """
        folder = folder or recorded_drive()
        record = json.loads((folder / camera / 'camera.json').read_text(encoding='utf-8'))
        # 4 x 4, from the optical frame (x right, y down, z forward) to the flat, z up; metres.
        self.poses = np.array(record['poses'])
        self.classes = tuple((folder / 'classes.txt').read_text(encoding='utf-8').split('\n')[:-1])
        self._masks = folder / camera / 'mask'

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.poses)

    def mask(self, number: int) -> np.ndarray:
        """Return the index into `classes` of each pixel, uint8 [H, W]."""
        return cv2.imread(str(self._masks / f'{number:03d}.png'), cv2.IMREAD_UNCHANGED)


def ids_by_class(labels: LabelSet, classes: Sequence[str]) -> np.ndarray:
    """Return uint8 [256]: the id of the label that has a true class among its prompts.

    255 for classes that no label asks for: their pixels are not to be counted.
    """
    table = np.full(256, UNLABELLED, np.uint8)
    for label in labels.classes:
        for prompt in label.prompts:
            if prompt in classes:
                table[classes.index(prompt)] = label.id
    return table
