# SPDX-License-Identifier: Apache-2.0
"""An image on its way through the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

ImageMessage = Image | CompressedImage
# The last time that a stamp can hold.
LAST_NS = 2**31 * 10**9 - 1
Decode = Callable[[ImageMessage], np.ndarray]


@dataclass(frozen=True)
class Arrival:
    """A message from a camera, and how to make uint8 [H, W, 3] RGB of it.

    `decode` raises ValueError with the reason when it cannot.
    """

    message: ImageMessage
    decode: Decode


@dataclass(frozen=True)
class Frame:
    """An image in work: uint8 [H, W, 3] RGB, its header, and when (perf_counter) work began."""

    image: np.ndarray
    header: Header
    started: float


def stamp_ns(header: Header) -> int:
    """Return the stamp of a header in nanoseconds; ValueError when it is no time."""
    seconds, nanoseconds = header.stamp.sec, header.stamp.nanosec
    if seconds < 0 or nanoseconds >= 10**9:
        raise ValueError(f'stamp of {seconds} s and {nanoseconds} ns is no time')
    return Time.from_msg(header.stamp).nanoseconds
