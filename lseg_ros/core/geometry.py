# SPDX-License-Identifier: Apache-2.0
"""Sizes of an image on its way through a network, and places along its sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Size = tuple[int, int]  # height and width

# Long sides are limited to this many short sides, so that a 1x10000 strip stays cheap.
MAX_ASPECT = 4
# Reduced images are squeezed by up to this share to save padding: an image of 16:9 is reduced to
# 448x256 pixels, because the network would compute 480x256 for 455x256.
SQUEEZE = 0.02
# Classes are decided on at most this many pixels: every pixel of images up to VGA.
DECISION_PIXELS = 640 * 480


class Line(NamedTuple):
    """Evenly spaced places along one side of an image, in pixels, with whole numbers at centres."""

    first: float
    step: float


@dataclass(frozen=True)
class ImageGeometry:
    """Sizes (height, width) in pixels of one image.

    `image` is resized to `resized` and padded at the right and bottom to `padded`, which the
    network's grid covers. Classes are decided on a grid of `decision` pixels over the image.
    """

    image: Size
    resized: Size
    padded: Size
    decision: Size

    @classmethod
    def plan(cls, image: Size, input_size: int, stride: int) -> ImageGeometry:
        """Return the sizes for a network whose input must be a multiple of `stride`.

        The short side is reduced to `input_size` (0 keeps the image's size) and never enlarged.
        The aspect of a reduced image may change by up to SQUEEZE.
        """
        short, long = sorted(image)
        scale = 1.0
        if input_size:
            scale = min(1.0, input_size / short, MAX_ASPECT * input_size / long)
        resized = _scaled(image, scale)
        if scale < 1.0:
            resized = _squeezed(resized, stride)
        height, width = (math.ceil(side / stride) * stride for side in resized)
        return cls(image, resized, (height, width), decision_size(image))

    def covered(self, grid: Sequence[int]) -> tuple[float, float]:
        """Return how many rows and columns of the network's grid the image covers."""
        rows, columns = (cells * resized / padded for cells, resized, padded in zip(grid, self.resized, self.padded))
        return rows, columns

    def step(self, grid: Sequence[int]) -> tuple[float, float]:
        """Return how many cells of the network's grid, down and across, one decided pixel spans."""
        down, across = (
            cells / padded * resized / decided
            for cells, padded, resized, decided in zip(grid, self.padded, self.resized, self.decision)
        )
        return down, across


def decision_size(image: Size) -> Size:
    """Return the size of the grid on which the classes of an image are decided."""
    return _scaled(image, min(1.0, math.sqrt(DECISION_PIXELS / (image[0] * image[1]))))


def nearest(old: int, new: int, stride: int = 1) -> np.ndarray:
    """Return, for every `stride`-th of `new` pixels in a line, the nearest of `old`, as intp."""
    return ((np.arange(0, new, stride) + 0.5) * old / new).astype(np.intp)


def _squeezed(size: Size, stride: int) -> Size:
    """Round sides down to multiples of `stride` where that takes no more than SQUEEZE."""
    height, width = (side - side % stride if side % stride <= SQUEEZE * side else side for side in size)
    return height, width


def _scaled(size: Size, scale: float) -> Size:
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width
