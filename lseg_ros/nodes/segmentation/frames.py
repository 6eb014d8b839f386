# SPDX-License-Identifier: Apache-2.0
"""An image on its way through the node, and everything that holds for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lseg_ros.core.segmenter import PreparedLabels
from lseg_ros.labels import LabelSet
from lseg_ros.nodes.segmentation.settings import Settings

ImageMessage: TypeAlias = Image | CompressedImage
# The latest time that a stamp can hold.
LAST_NS = 2**31 * 10**9 - 1
Decode: TypeAlias = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Arrival:
    """A message from a camera, and the function that decodes it to uint8 [H, W, 3] RGB.

    `decode` raises ValueError, with the reason, if it cannot.
    """

    message: ImageMessage
    decode: Decode


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

    `image` is uint8 [H, W, 3] RGB, `header` the camera's, `stamp_ns` its stamp, `started` the time
    at which work began (perf_counter), `table` and `settings` those in force for it.
    """

    image: np.ndarray
    header: Header
    stamp_ns: int
    started: float
    table: LabelTable
    settings: Settings
