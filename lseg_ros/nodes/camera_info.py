# SPDX-License-Identifier: Apache-2.0
"""CameraInfo: the one that belongs to an image, checked against it and scaled to the output."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lseg_ros.core.geometry import Size

MAX_SIDE = 8192
KEPT = 16  # CameraInfos kept for images that are still being processed
DISTORTION_MODELS = ('plumb_bob', 'rational_polynomial')
# Names of one model, with four coefficients; without any, distances are proportional to angles.
FISHEYE_MODELS = ('equidistant', 'fisheye', 'kannala_brandt')


class Lens(NamedTuple):
    """How a camera projects: `matrix`, float64 [3, 3], and OpenCV's distortion coefficients."""

    matrix: np.ndarray
    distortion: np.ndarray
    is_fisheye: bool = False


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
    stamp = info.header.stamp
    return abs(stamp.sec * 10**9 + stamp.nanosec - stamp_ns)


@dataclass(frozen=True, eq=False)
class ImageCamera:
    """The camera of an image, with region of interest and binning applied.

    `size` is (height, width) in pixels; `k`, float64 [3, 3], and `p`, float64 [3, 4], are as in
    CameraInfo.
    """

    size: Size
    k: np.ndarray
    p: np.ndarray

    def scaled(self, size: Size) -> ImageCamera:
        """Return the camera of the same image, resized to `size`."""
        scale = [new / old for new, old in zip(size, self.size)]
        return ImageCamera(size, _shifted(self.k, scale), _shifted(self.p, scale))


def image_camera(info: CameraInfo, image_size: Size) -> ImageCamera:
    """Return the camera of an image of `image_size`.

    Pixel u at full resolution is pixel (u - offset + 0.5) / binning - 0.5 of the image. Raise
    ValueError, with the reason, if `info` does not fit the image.
    """
    full = (info.roi.height or info.height, info.roi.width or info.width)
    binning = (max(1, info.binning_y), max(1, info.binning_x))
    size = tuple(side // part for side, part in zip(full, binning))
    if size != tuple(image_size):
        raise ValueError(
            f'camera_info is for {size[1]} x {size[0]} pixels, but the image has {image_size[1]} x {image_size[0]}'
        )
    scale = [1 / part for part in binning]
    offset = (info.roi.y_offset, info.roi.x_offset)
    k = _shifted(np.array(info.k).reshape(3, 3), scale, offset)
    p = _shifted(np.array(info.p).reshape(3, 4), scale, offset)
    _check(k, size, 'K')
    return ImageCamera(size, k, p)


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


def lens(info: CameraInfo, camera: ImageCamera, rectified: bool) -> Lens:
    """Return the lens of the image of `camera`.

    `rectified` images follow P, without distortion; others follow K and D. A D that is empty is
    all zeros. Raise ValueError if these cannot be used.
    """
    if rectified:
        matrix = camera.p[:, :3]
        _check(matrix, camera.size, 'P')
        return Lens(matrix, np.zeros(0))
    distortion = np.array(info.d, np.float64)
    model = info.distortion_model
    if not np.isfinite(distortion).all():
        raise ValueError('D of camera_info has non-finite values')
    if model in FISHEYE_MODELS and (len(distortion) == 4 or not distortion.any()):
        return Lens(camera.k, distortion if distortion.any() else np.zeros(4), is_fisheye=True)
    if model in ('', *DISTORTION_MODELS) and not distortion.any():
        return Lens(camera.k, np.zeros(0))
    if model not in DISTORTION_MODELS or len(distortion) not in (4, 5, 8, 12, 14):
        raise ValueError(
            f'unknown distortion model {model!r} with {len(distortion)} coefficients: use '
            f'{", ".join(DISTORTION_MODELS)} or equidistant, or rectified images'
        )
    return Lens(camera.k, distortion)


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


def _shifted(matrix: np.ndarray, scale: Sequence[float], offset: Sequence[float] = (0.0, 0.0)) -> np.ndarray:
    """Return a projection matrix for another pixel grid; pixel centres are whole numbers."""
    result = matrix.astype(np.float64)
    if not matrix.any():  # P of an uncalibrated camera
        return result
    for row, axis in ((0, 1), (1, 0)):  # x lies along the width
        result[row] *= scale[axis]
        result[row, 2] = (matrix[row, 2] - offset[axis] + 0.5) * scale[axis] - 0.5
    return result


def _check(matrix: np.ndarray, size: Size, name: str) -> None:
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    height, width = size
    if not (np.isfinite(matrix).all() and fx > 0 and fy > 0):
        raise ValueError(f'{name} of camera_info has focal lengths {fx:g} and {fy:g}: is the camera calibrated?')
    if not (-0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5):
        raise ValueError(
            f'{name} of camera_info does not match its size: the centre ({cx:g}, '
            f'{cy:g}) is outside {width} x {height} pixels'
        )
