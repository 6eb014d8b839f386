# SPDX-License-Identifier: Apache-2.0
"""Turns the messages of a frame into arrays for the map."""

from __future__ import annotations

import numpy as np
import torch
from geometry_msgs.msg import Transform
from sensor_msgs.msg import CameraInfo

from lseg_ros.core.cloud import PixelGrid, depth_in_metres, pixel_rays
from lseg_ros.core.embedding import Line
from lseg_ros.mapping.observation import GridView
from lseg_ros.media.ros_images import image_to_depth
from lseg_ros.msg import Embedding
from lseg_ros.nodes.camera_info import image_camera, lens
from lseg_ros.nodes.conversions import stamp_ns
from lseg_ros.nodes.map.map_inputs import CameraFrame


class FrameViews:
    """Decodes frames; the rays of a camera are computed once per calibration."""

    def __init__(self, rectified: bool) -> None:
        """`rectified` images have no distortion and follow P of their CameraInfo."""
        self._rectified = rectified
        self._rays: dict[bytes, np.ndarray] = {}

    def view(self, frame: CameraFrame) -> GridView:
        """Return the arrays of a frame; raise ValueError, with the reason, if they do not match."""
        message = frame.embedding
        shape = message.height, message.width, message.dim
        vectors = np.frombuffer(message.data, '<f2')
        colors = np.frombuffer(message.colors, np.uint8)
        if vectors.size != np.prod(shape) or colors.size != 3 * np.prod(shape[:2]) or not vectors.size:
            raise ValueError(f'an embedding of {shape} has {vectors.size} numbers and {colors.size} bytes of colour')
        size = message.image_height, message.image_width
        depth = image_to_depth(frame.depth)
        if depth.shape != size:
            raise ValueError(
                f'depth has {depth.shape[1]} x {depth.shape[0]} pixels, but the image has {size[1]} x {size[0]}'
            )
        grid = _pixels(message)
        return GridView(
            torch.from_numpy(vectors.reshape(shape)),
            colors.reshape(*shape[:2], 3),
            depth_in_metres(grid.sample(depth)),
            self._rays_of(frame.info, grid, size),
            pose_matrix(frame.transform.transform),
            stamp_ns(message.header) / 1e9,
        )

    def _rays_of(self, info: CameraInfo, grid: PixelGrid, size: tuple[int, int]) -> np.ndarray:
        matrix, distortion, is_fisheye = lens(info, image_camera(info, size), self._rectified)
        key = b''.join(part.tobytes() for part in (matrix, distortion, grid.rows, grid.columns)) + bytes([is_fisheye])
        if key not in self._rays:
            self._rays = {**dict([*self._rays.items()][-7:]), key: pixel_rays(grid, matrix, distortion, is_fisheye)}
        return self._rays[key]


def pose_matrix(transform: Transform) -> np.ndarray:
    """Return a transform as a matrix [4, 4]; raise ValueError if its quaternion has no length."""
    place, turn = transform.translation, transform.rotation
    x, y, z, w = np.array([turn.x, turn.y, turn.z, turn.w]) / max(
        np.linalg.norm([turn.x, turn.y, turn.z, turn.w]), 1e-12
    )
    if not abs(x * x + y * y + z * z + w * w - 1) < 1e-3:
        raise ValueError('the pose of the camera is not finite')
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), place.x],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), place.y],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), place.z],
            [0, 0, 0, 1],
        ]
    )


def _pixels(message: Embedding) -> PixelGrid:
    """Return the pixels of the image nearest to the vectors."""
    lines = Line(message.first_y, message.step_y), Line(message.first_x, message.step_x)
    counts, image_size = (message.height, message.width), (message.image_height, message.image_width)
    return PixelGrid.along(lines, counts, image_size)
