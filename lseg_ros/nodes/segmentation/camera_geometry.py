# SPDX-License-Identifier: Apache-2.0
"""What places a camera's label image in space: its CameraInfo and, with depth, labelled points."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import partial

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from lseg_ros.core.cloud import PixelGrid, depth_in_metres, labelled_points, pixel_rays
from lseg_ros.core.depth_matcher import OPEN, DepthMatcher
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.media.ros_images import image_to_depth
from lseg_ros.nodes.conversions import OrganisedCloud
from lseg_ros.nodes.segmentation.camera_info import image_camera, lens, scaled_camera_info
from lseg_ros.nodes.segmentation.frames import Frame, stamp_ns
from lseg_ros.nodes.segmentation.outputs import Outputs

NOWHERE = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class GeometrySettings:
    """How points are made.

    Depth is matched within `depth_slop` seconds, every `points_stride`-th row and column gives
    points, and `rectified` images follow P of their CameraInfo rather than K and D.
    """

    depth_slop: float = 0.02
    points_stride: int = 1
    rectified: bool = False


class CameraGeometry:
    """Publishes, beside each label image of one camera, its CameraInfo and its points.

    What cannot be used is counted and told, and nothing is published in its place. Messages come
    in any thread; `begin` and all that publishes belong to the stream's.
    """

    def __init__(self, outputs: Outputs, settings: GeometrySettings) -> None:
        """Start without CameraInfo and depth: there is nothing to publish then."""
        self.depth = DepthMatcher(settings.depth_slop)
        self._settings = settings
        self._outputs = outputs
        self._info: CameraInfo | None = None
        self._bad_infos = 0
        self._problem = ''
        self._rays: tuple[tuple, np.ndarray] | None = None
        self._cloud: OrganisedCloud | None = None
        # The last label images whose points have not gone out.
        self._waiting: deque[tuple[Frame, Segmentation]] = deque(maxlen=OPEN)

    def receive_camera_info(self, message: CameraInfo) -> None:
        """Use `message` for the images from now on."""
        self._info = message

    def receive_depth(self, message: Image) -> bool:
        """Keep a depth frame; True when a label image that has gone out may wait for it."""
        try:
            self.depth.add(stamp_ns(message.header), message)
        except ValueError as error:
            self.depth.refuse()
            self._problem = f'depth: {error}'
            return False
        return len(self._waiting) > 0

    def begin(self, frame: Frame) -> None:
        """Look for the depth of `frame` from now on."""
        self.depth.begin(stamp_ns(frame.header))

    def depth_of(self, frame: Frame) -> Image | None:
        """Return the depth of one of the frames begun last; None while it is not there."""
        return self.depth.find(stamp_ns(frame.header))

    def publish(self, frame: Frame, segmentation: Segmentation) -> None:
        """Send the CameraInfo of the label image, and its points as soon as its depth is there."""
        if self._info is not None:
            self._outputs.send_camera_info(lambda: self._camera_info(frame, segmentation))
        if self._outputs.are_points_wanted:
            self._waiting.append((frame, segmentation))
            self.publish_points()
        else:
            self._waiting.clear()

    def publish_points(self) -> None:
        """Send the points of label images that have waited for their depth, if it is there now."""
        if not self.depth.counts.received:
            self._problem = 'points need depth, and none has come'
        for _ in range(len(self._waiting)):
            frame, segmentation = self._waiting.popleft()
            depth = self.depth_of(frame)
            if depth is None:
                self._waiting.append((frame, segmentation))
            else:
                self._outputs.send_points(partial(self._points, frame, segmentation, depth))

    def point_at(
        self, frame: Frame, depth: Image | None, u: int, v: int
    ) -> tuple[float, float, float]:
        """Return what pixel column `u`, row `v` of `frame` shows, in the camera's optical frame.

        In metres; NaN where `depth`, or a CameraInfo that fits, is lacking. Any thread may call
        this.
        """
        if depth is None or self._info is None:
            return NOWHERE
        grid = PixelGrid(np.array([v]), np.array([u]))
        try:
            z = self._metres(depth, frame, grid).item()
            camera = image_camera(self._info, frame.image.shape[:2])
            x, y = pixel_rays(grid, *lens(self._info, camera, self._settings.rectified)).ravel()
        except ValueError as error:
            self._problem = str(error)
            return NOWHERE
        return float(x) * z, float(y) * z, z

    def values(self) -> dict[str, str]:
        """Return counts and the last problem, as diagnostics show them."""
        counts = self.depth.counts
        return {
            'depth received': str(counts.received),
            'depth matched': str(counts.matched),
            'depth late': str(counts.late),
            'depth early': str(counts.early),
            'depth missing': str(counts.missing),
            'depth unusable': str(counts.unusable),
            'camera infos bad': str(self._bad_infos),
            'last geometry problem': self._problem,
        }

    def _camera_info(self, frame: Frame, segmentation: Segmentation) -> CameraInfo | None:
        try:
            return scaled_camera_info(
                self._info, frame.image.shape[:2], segmentation.ids.shape, frame.header
            )
        except ValueError as error:
            self._refuse_info(error)
            return None

    def _points(
        self, frame: Frame, segmentation: Segmentation, message: Image
    ) -> PointCloud2 | None:
        stride = self._settings.points_stride
        grid = PixelGrid.between(frame.image.shape[:2], segmentation.ids.shape, stride)
        try:
            rays = self._rays_of(frame, segmentation.ids.shape, grid)
        except ValueError as error:
            self._refuse_info(error)
            return None
        try:
            depth = self._metres(message, frame, grid)
        except ValueError as error:
            self.depth.refuse()
            self._problem = str(error)
            return None
        if self._cloud is None or self._cloud.points.shape != depth.shape:
            self._cloud = OrganisedCloud(depth.shape)
        ids, confidence = (
            plane[::stride, ::stride] for plane in (segmentation.ids, segmentation.confidence)
        )
        labelled_points(depth, rays, grid.sample(frame.image), ids, confidence, self._cloud.points)
        return self._cloud.stamped(frame.header)

    def _rays_of(self, frame: Frame, size: tuple[int, int], grid: PixelGrid) -> np.ndarray:
        """Return the rays of `grid`, which are worked out once for each CameraInfo and size."""
        info = self._info
        if info is None:
            raise ValueError('points need camera_info, and none has come')
        camera = image_camera(info, frame.image.shape[:2])
        matrix, distortion = lens(info, camera, self._settings.rectified)
        key = matrix.tobytes(), distortion.tobytes(), camera.size, size
        if self._rays is None or self._rays[0] != key:
            self._rays = key, pixel_rays(grid, matrix, distortion)
        return self._rays[1]

    def _metres(self, message: Image, frame: Frame, grid: PixelGrid) -> np.ndarray:
        """Return the depth at `grid`, float32 metres; ValueError when it cannot be the image's."""
        depth = image_to_depth(message)
        if depth.shape != frame.image.shape[:2]:
            (height, width), (rows, columns) = frame.image.shape[:2], depth.shape
            raise ValueError(
                f'depth has {columns} x {rows} pixels, but the image has {width} x '
                f'{height}: depth must be aligned to the image'
            )
        depth = grid.sample(depth)
        if negative := np.count_nonzero(depth < 0):
            self._problem = f'depth is negative in {negative} pixels'
        metres = depth_in_metres(depth)
        if np.isnan(metres).all():
            self._problem = 'depth has no valid pixel'
        return metres

    def _refuse_info(self, error: ValueError) -> None:
        self._bad_infos += 1
        self._problem = str(error)
