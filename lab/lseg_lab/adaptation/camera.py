# SPDX-License-Identifier: Apache-2.0
"""A camera: numbered frames, wherever they were recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lseg_lab.adaptation.scene_view import SceneView

NumberedImages = Iterator[tuple[int, np.ndarray]]
NumberedViews = Iterator[tuple[int, SceneView]]
T = TypeVar('T')


@dataclass(frozen=True)
class Camera:
    """The frames of one camera, in the order in which they were taken.

    Attributes:
        name: of the folder, the video or the topic.
        count: number of frames; for a video perhaps an upper bound.
        read: yields (number, uint8 RGB [H, W, 3]) of those of the given frames, in ascending
            order, that can be read.
        views: yields (number, view) of those that have depth and a pose; may raise OSError or
            ValueError. None if nothing of that kind was recorded.
    """

    name: str
    count: int
    read: Callable[[Sequence[int]], NumberedImages]
    views: Callable[[Sequence[int]], NumberedViews] | None = None


def choose(frames: Iterator[T], numbers: Sequence[int]) -> Iterator[tuple[int, T]]:
    """Yield those of all frames of a camera that have these numbers, and the numbers."""
    wanted = set(numbers)
    for number, frame in enumerate(frames):
        if number in wanted:
            yield number, frame
        if number >= numbers[-1]:
            return
