# SPDX-License-Identifier: Apache-2.0
"""What locates a camera's label image in space: its CameraInfo and, with depth, its points."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from lseg_ros.core.cloud import PixelGrid, RayCache, check_aligned, depth_in_metres, labelled_points, pixel_rays
from lseg_ros.core.depth_matcher import DepthMatcher
from lseg_ros.core.lens import image_camera, lens
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.media.ros_images import image_to_depth
from lseg_ros.nodes.camera_info import CameraInfoHistory, scaled_camera_info
from lseg_ros.nodes.conversions import OrganisedCloud, frame_conflict, stamp_ns
from lseg_ros.nodes.segmentation.frames import Frame, LabelTable
from lseg_ros.nodes.segmentation.outputs import Outputs
from lseg_ros.nodes.segmentation.settings import Settings

NOWHERE = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class _Result:
    """A segmented frame with the CameraInfo of its stamp."""

    frame: Frame
    segmentation: Segmentation
    info: CameraInfo | None


class _Problems:
    """Counts unusable CameraInfos and keeps the last problem; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bad_infos = 0
        self._last = ''
        self._conflict = ''

    @property
    def conflict(self) -> str:
        """Which message of the last points was in another frame than the image, or empty."""
        with self._lock:
            return self._conflict

    def compare_frames(self, image: Header, depth: Header, info: Header) -> None:
        conflict = frame_conflict(image, depth=depth, camera_info=info)
        with self._lock:
            self._conflict = conflict

    def note(self, problem: str, bad_infos: int = 0) -> None:
        with self._lock:
            self._bad_infos += bad_infos
            self._last = problem

    def values(self) -> dict[str, str]:
        with self._lock:
            return {'camera infos bad': str(self._bad_infos), 'last geometry problem': self._last}


class CameraGeometry:
    """Publishes the CameraInfo and the points of each label image of one camera.

    Unusable input is counted and reported, and nothing is published in its place. Messages may
    arrive in any thread; `begin` and everything that publishes belong to the stream's.
    """

    def __init__(self, outputs: Outputs, settings: Settings) -> None:
        """Start without CameraInfo and depth, so with nothing to publish."""
        self.depth: DepthMatcher[Image] = DepthMatcher(settings.depth_slop)
        self.infos = CameraInfoHistory()
        self._stride = settings.points_stride
        self._rectified = settings.rectified
        self._outputs = outputs
        self._problems = _Problems()
        self._rays = RayCache()
        self._cloud: OrganisedCloud | None = None
        self._last: _Result | None = None
        # The label images whose depth is still looked for, by stamp.
        self._waiting: dict[int, _Result] = {}

    def receive_depth(self, message: Image) -> bool:
        """Keep a depth frame; return whether to try publishing points again.

        True if anyone subscribes to them, as a label image may be waiting for this frame.
        """
        try:
            self.depth.add(stamp_ns(message.header), message)
        except ValueError as error:
            self.depth.refuse()
            self._problems.note(f'depth: {error}')
            return False
        return self._outputs.are_points_wanted

    def begin(self, frame: Frame) -> None:
        """Look for the depth of `frame` from now on."""
        closed = self.depth.begin(frame.stamp_ns)
        if closed is not None:
            self._waiting.pop(closed, None)

    def follow(self, table: LabelTable) -> None:
        """Give up the points that would be read under `table`, but have ids of other labels.

        There are such points if time ran back while they waited for their depth.
        """
        for frame in [result.frame for result in self._waiting.values()]:
            if frame.stamp_ns >= table.since_ns and frame.table.labels.classes != table.labels.classes:
                del self._waiting[frame.stamp_ns]
                self._problems.note('points given up: the labels have changed, and time ran back')

    def depth_of(self, frame: Frame) -> Image | None:
        """Return the depth of a recent frame; None if it has not arrived."""
        return self.depth.find(frame.stamp_ns)

    def publish(self, frame: Frame, segmentation: Segmentation) -> None:
        """Send the CameraInfo of a label image, and its points as soon as its depth arrives."""
        result = self._last = _Result(frame, segmentation, self.infos.at(frame.stamp_ns))
        if result.info is not None:
            self._outputs.send_camera_info(partial(self._camera_info, result))
        if self._outputs.are_points_wanted:
            self._waiting[frame.stamp_ns] = result
            self.publish_points()
        else:
            self._waiting.clear()

    def publish_points(self) -> None:
        """Send the points of the label images whose depth has arrived meanwhile."""
        if self._waiting and not self.depth.counts.received:
            self._problems.note('points need depth, and none has arrived')
        for result in [*self._waiting.values()]:
            depth = self.depth_of(result.frame)
            if depth is not None:
                del self._waiting[result.frame.stamp_ns]
                self._outputs.send_points(partial(self._points, result, depth))

    def point_at(self, frame: Frame, depth: Image | None, u: int, v: int) -> tuple[float, float, float]:
        """Return the point that column `u`, row `v` of `frame` shows, in the optical frame.

        In metres; NaN without `depth` or without a matching CameraInfo. Any thread may call this.
        """
        info = self._info_of(frame)
        if depth is None or info is None:
            return NOWHERE
        self._problems.compare_frames(frame.header, depth.header, info.header)
        grid = PixelGrid(np.array([v]), np.array([u]))
        try:
            z = self._metres(depth, frame, grid).item()
            camera = image_camera(info, frame.size)
            x, y = pixel_rays(grid, *lens(info, camera, self._rectified)).ravel()
        except ValueError as error:
            self._problems.note(str(error))
            return NOWHERE
        return float(x) * z, float(y) * z, z

    @property
    def conflict(self) -> str:
        """Why the last points may be in the wrong places: a message of another frame; or empty."""
        return self._problems.conflict

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
            **self._problems.values(),
        }

    def _info_of(self, frame: Frame) -> CameraInfo | None:
        """Return the CameraInfo of a frame, even one that has left the history meanwhile."""
        last = self._last
        return self.infos.at(frame.stamp_ns, last.info if last is not None and last.frame is frame else None)

    def _camera_info(self, result: _Result) -> CameraInfo | None:
        frame, size = result.frame, result.segmentation.ids.shape
        try:
            return scaled_camera_info(result.info, frame.size, size, frame.header)
        except ValueError as error:
            self._problems.note(str(error), bad_infos=1)
            return None

    def _points(self, result: _Result, message: Image) -> PointCloud2 | None:
        frame, segmentation = result.frame, result.segmentation
        grid = PixelGrid.between(frame.size, segmentation.ids.shape, self._stride)
        try:
            info = result.info
            if info is None:
                raise ValueError('points need camera_info, and none has arrived')
            rays = self._rays.of(lens(info, image_camera(info, frame.size), self._rectified), grid)
        except ValueError as error:
            self._problems.note(str(error), bad_infos=1)
            return None
        self._problems.compare_frames(frame.header, message.header, info.header)
        try:
            depth = self._metres(message, frame, grid)
        except ValueError as error:
            self.depth.refuse()
            self._problems.note(str(error))
            return None
        if self._cloud is None or self._cloud.points.shape != depth.shape:
            self._cloud = OrganisedCloud(depth.shape)
        ids, confidence = (
            plane[:: self._stride, :: self._stride] for plane in (segmentation.ids, segmentation.confidence)
        )
        labelled_points(depth, rays, _point_colors(frame, ids, grid), ids, confidence, self._cloud.points)
        return self._cloud.stamped(frame.header)

    def _metres(self, message: Image, frame: Frame, grid: PixelGrid) -> np.ndarray:
        """Return the depth at `grid`, float32 metres.

        Raise ValueError if the depth frame does not fit the image.
        """
        depth = image_to_depth(message)
        check_aligned(depth, frame.size)
        depth = grid.sample(depth)
        if negative := np.count_nonzero(depth < 0):
            self._problems.note(f'depth is negative in {negative} pixels')
        metres = depth_in_metres(depth)
        if np.isnan(metres).all():
            self._problems.note('depth has no valid pixel')
        return metres


def _point_colors(frame: Frame, ids: np.ndarray, grid: PixelGrid) -> np.ndarray:
    """Return the colours, uint8 RGB [h, w, 3], of the points with these `ids`, at `grid`."""
    if frame.settings.points_color == 'image':
        return grid.sample(frame.image)
    # Several times faster than indexing the palette.
    return cv2.applyColorMap(ids, frame.table.labels.palette()[:, None])
