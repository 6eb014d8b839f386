# SPDX-License-Identifier: Apache-2.0
"""CameraInfo: the one that belongs to an image, and the one of the output."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from functools import partial

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lseg_ros.core.geometry import Size
from lseg_ros.core.lens import image_camera
from lseg_ros.media.ros_images import to_nanoseconds

MAX_SIDE = 8192
KEPT = 16  # CameraInfos kept for images that are still being processed


class CameraInfoHistory:
    """Keeps the last CameraInfos of a camera, to find the one of an image; thread-safe."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._kept: deque[CameraInfo] = deque(maxlen=KEPT)

    def add(self, message: CameraInfo) -> None:
        """Keep the message that arrived last."""
        with self._lock:
            self._kept.appendleft(message)

    def at(self, stamp_ns: int, earlier: CameraInfo | None = None) -> CameraInfo | None:
        """Return the CameraInfo nearest in time to an image with this stamp; None without any.

        Of several that are equally near, return the one that arrived last; but `earlier`, which an
        earlier call returned for the image, before all of them.
        """
        with self._lock:
            candidates = [*self._kept] if earlier is None else [earlier, *self._kept]
        return min(candidates, key=partial(_distance_ns, stamp_ns), default=None)


def _distance_ns(stamp_ns: int, info: CameraInfo) -> int:
    return abs(to_nanoseconds(info.header.stamp) - stamp_ns)


def scaled_camera_info(info: CameraInfo, image_size: Size, output_size: Size, header: Header) -> CameraInfo:
    """Return the CameraInfo of an image that was resized from `image_size` to `output_size`.

    It has neither a region of interest nor binning. Raise ValueError as `image_camera` does.
    """
    camera = image_camera(info, image_size).scaled(output_size)
    height, width = output_size
    message = CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model=info.distortion_model,
        d=info.d,
        k=camera.k.ravel(),
        r=info.r,
        p=camera.p.ravel(),
    )
    message.roi.do_rectify = info.roi.do_rectify
    return message


def parse_output_size(values: Sequence[int]) -> Size | None:
    """Return the parameter output_size, [width, height], as (height, width); None: the input's.

    Raise ValueError unless it is empty, two zeros, or two sides of 1 to 8192 pixels.
    """
    if not any(values) and len(values) in (0, 2):
        return None
    if len(values) != 2 or not all(1 <= side <= MAX_SIDE for side in values):
        raise ValueError(
            f'output_size must be [width, height], each 1 to {MAX_SIDE}, or [0, 0] '
            f'for the size of the input, not {list(values)}'
        )
    width, height = values
    return height, width
