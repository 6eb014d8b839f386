# SPDX-License-Identifier: Apache-2.0
"""An image on its way through the node, and everything that holds for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lseg_ros.core.geometry import Size
from lseg_ros.core.segmenter import PreparedLabels
from lseg_ros.labels import LabelSet
from lseg_ros.media.ros_images import LeastSize, Picture
from lseg_ros.nodes.segmentation.settings import Settings

ImageMessage: TypeAlias = Image | CompressedImage
# The latest time that a stamp can hold.
LAST_NS = 2**31 * 10**9 - 1
Decode: TypeAlias = Callable[[Any], np.ndarray]
Reduce: TypeAlias = Callable[[Any, LeastSize], Picture]


@dataclass(frozen=True)
class Arrival:
    """A message from a camera, and the function that decodes it to uint8 [H, W, 3] RGB.

    `decode` raises ValueError, with the reason, if it cannot. `reduce`, if there is one, decodes to
    a smaller picture in less time.
    """

    message: ImageMessage
    decode: Decode
    reduce: Reduce | None = None

    def picture(self, least: LeastSize | None = None) -> Picture:
        """Decode the message: whole, or if that is quicker, no smaller than `least` allows."""
        if least and self.reduce:
            return self.reduce(self.message, least)
        pixels = self.decode(self.message)
        return Picture(pixels, pixels.shape[:2])


@dataclass(frozen=True)
class Terms:
    """The conditions of a batch: the labels with their text, and the settings."""

    prepared: PreparedLabels
    settings: Settings


@dataclass(frozen=True)
class LabelTable:
    """The labels that hold for every image stamped at or after `since_ns`; 0: for every image."""

    labels: LabelSet
    since_ns: int = 0


@dataclass(frozen=True)
class Frame:
    """An image being processed.

    `picture` is what the network sees, `stamp_ns` the stamp of the camera, `started` the time at
    which work began (perf_counter), `table` and `settings` those in force for it.
    """

    arrival: Arrival
    picture: Picture
    stamp_ns: int
    started: float
    table: LabelTable
    settings: Settings

    @property
    def header(self) -> Header:
        """The header of the camera's message."""
        return self.arrival.message.header

    @property
    def size(self) -> Size:
        """Height and width of the camera's image."""
        return self.picture.size

    @cached_property
    def image(self) -> np.ndarray:
        """The whole image, uint8 [H, W, 3] RGB, decoded now if the network took a smaller one."""
        pixels = self.picture.pixels
        return pixels if pixels.shape[:2] == self.size else self.arrival.decode(self.arrival.message)
