# SPDX-License-Identifier: Apache-2.0
"""Views of a frame: what teacher and student both look at, so that one can learn from the other.

A student that sees the same picture as its teacher learns the teacher's function. If it learned
what the teacher makes of the whole frame from crops of it, it would have to answer what it cannot
see (Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", CVPR 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lseg_lab.training import augment

ZOOM = (0.6, 1.6)  # range of the random zoom
LIGHT = 0.5  # share of the random views whose light, lens or sensor is changed
GREY = (128, 128, 128)  # around frames, as networks pad them
BORDERS = (*augment.BORDERS, (cv2.BORDER_CONSTANT, GREY))


@dataclass(frozen=True)
class ViewShape:
    """The size of views and how large frames are in them.

    Attributes:
        size: height and width of a view in the student's pixels.
        student: short side, in pixels, that the student reduces images to.
        teacher: the same of the teacher; 0 if it takes images as they are.
    """

    size: tuple[int, int]
    student: int
    teacher: int

    def draw(self, image: np.ndarray, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return view `index` of a frame, uint8 [H, W, 3], as the student and the teacher see it.

        The first view is the frame as networks see it, reduced and padded, if the size allows. The
        others are random crops of it. At a zoom of 1, each network sees the frame at the scale at
        which it would see it alone.
        """
        short = min(image.shape[:2])
        ours, theirs = (min(1.0, side / short) if side else 1.0 for side in (self.student, self.teacher))
        finer = max(ours, theirs)
        image = _resized(image, (round(image.shape[0] * finer), round(image.shape[1] * finer)))
        picture = _drawn(image, self._scaled(finer / ours), index, rng)
        return _resized(picture, self.size), _resized(picture, self._scaled(theirs / ours))

    def _scaled(self, scale: float) -> tuple[int, int]:
        height, width = (round(side * scale) for side in self.size)
        return height, width


def _drawn(image: np.ndarray, size: tuple[int, int], index: int, rng: np.random.Generator) -> np.ndarray:
    if index == 1 and image.shape[0] <= size[0] and image.shape[1] <= size[1]:
        rows, columns = (whole - side for whole, side in zip(size, image.shape))
        return cv2.copyMakeBorder(image, 0, rows, 0, columns, cv2.BORDER_CONSTANT, value=GREY)
    matrix = augment.crop_matrix(image.shape[:2], size, ZOOM, rng)
    mode, value = BORDERS[rng.integers(len(BORDERS))]
    picture = cv2.warpPerspective(image, matrix, size[::-1], borderMode=mode, borderValue=value)
    return augment.photometric(picture, rng) if rng.random() < LIGHT else picture


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image in this size, or as it is if it has it."""
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
