# SPDX-License-Identifier: Apache-2.0
"""How the camera of an image projects, from its CameraInfo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from lseg_ros.core.geometry import Size

DISTORTION_MODELS = ('plumb_bob', 'rational_polynomial')
# Names of one model, with four coefficients; without any, distances are proportional to angles.
FISHEYE_MODELS = ('equidistant', 'fisheye', 'kannala_brandt')


class CameraInfoMessage(Protocol):
    """The fields of sensor_msgs/CameraInfo that are used."""

    height: int
    width: int
    distortion_model: str
    d: Any
    k: Any
    p: Any
    binning_x: int
    binning_y: int
    roi: Any


class Lens(NamedTuple):
    """How a camera projects: `matrix`, float64 [3, 3], and OpenCV's distortion coefficients."""

    matrix: np.ndarray
    distortion: np.ndarray
    is_fisheye: bool = False


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


def image_camera(info: CameraInfoMessage, image_size: Size) -> ImageCamera:
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


def lens(info: CameraInfoMessage, camera: ImageCamera, rectified: bool) -> Lens:
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
