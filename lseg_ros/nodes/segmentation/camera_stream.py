# SPDX-License-Identifier: Apache-2.0
"""One camera of the stream: from messages to frames, and from their results to topics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rclpy.clock import Clock

from lseg_ros.core.cameras import Camera
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.core.smoothing import ScoreSmoother
from lseg_ros.core.statistics import StreamStatistics
from lseg_ros.labels import LabelSet
from lseg_ros.media.ros_images import LeastSize
from lseg_ros.nodes.conversions import stamp_ns
from lseg_ros.nodes.segmentation.camera_geometry import CameraGeometry
from lseg_ros.nodes.segmentation.frames import LAST_NS, Arrival, Frame, LabelTable, Terms
from lseg_ros.nodes.segmentation.outputs import Outputs
from lseg_ros.nodes.segmentation.settings import Settings


class CameraStream:
    """A camera's topics, label table and statistics.

    Any thread may use `outputs`, `geometry` and `statistics`. All else belongs to the worker's
    thread, so that tables and frames go out in the order in which they hold.
    """

    def __init__(
        self,
        camera: Camera,
        outputs: Outputs,
        geometry: CameraGeometry,
        smoother: ScoreSmoother,
        clock: Clock,
        network_size: LeastSize,
        on_problem: Callable[[str], None],
    ) -> None:
        """Publish nothing until `announce`; call `on_problem` with why an image was given up.

        `network_size` returns the size to which the network reduces an image.
        """
        self.camera = camera
        self.outputs = outputs
        self.geometry = geometry
        self.smoother = smoother
        self.statistics = StreamStatistics()
        self._clock = clock
        self._network_size = network_size
        self._on_problem = on_problem
        self._newest_ns = -1
        self._last_frame: Frame | None = None
        self._table: LabelTable
        self._settings: Settings

    @property
    def last_frame(self) -> Frame | None:
        """The last frame that was begun; None before the first."""
        return self._last_frame

    def announce(self, terms: Terms) -> LabelTable:
        """Latch and return the table of the labels that hold from the next frame on."""
        self._settings = terms.settings
        self.smoother.reset()
        # No frame is in progress, and earlier ones were stamped no later than the newest.
        return self._latch(terms.prepared.labels, min(self._newest_ns + 1, LAST_NS))

    def apply(self, settings: Settings) -> None:
        """Put new settings into force from the next frame on."""
        is_new_threshold = settings.confidence_threshold != self._settings.confidence_threshold
        self._settings = settings
        self.smoother.smoothing = settings.temporal_smoothing
        self.geometry.depth.set_slop(settings.depth_slop)
        if is_new_threshold:
            self._latch(self._table.labels, self._table.since_ns)

    def decode(self, arrival: Arrival) -> Frame | None:
        """Begin a frame; count a message without a usable image, and return None for it."""
        started = time.perf_counter()
        try:
            begun_ns = stamp_ns(arrival.message.header)
            picture = arrival.picture(None if self.outputs.are_colors_wanted else self._network_size)
        except ValueError as error:
            self.statistics.image_refused(f'bad image: {error}')
            self._complain(f'bad image: {error}')
            return None
        self._note_stamp(begun_ns)
        self.smoother.begin(begun_ns / 1e9)
        frame = Frame(arrival, picture, begun_ns, started, self._table, self._settings)
        self.geometry.begin(frame)
        self._last_frame = frame
        return frame

    def publish(self, frame: Frame, segmentation: Segmentation) -> None:
        """Send the result to the subscribers; count it unless the gate is shut."""
        if self.outputs.publish(frame, segmentation):
            self.geometry.publish(frame, segmentation)
            now_ns = self._clock.now().nanoseconds
            age_s = (now_ns - frame.stamp_ns) / 1e9 if now_ns else math.nan  # a simulated clock may not have begun
            self.statistics.frame_published(age_s, time.perf_counter() - frame.started)

    def publish_points(self) -> None:
        """Send the points of the frames whose depth has arrived meanwhile."""
        try:
            self.geometry.publish_points()
        except Exception as error:  # nobody waits for this call
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Count a frame for which the network, or publishing, failed."""
        problem = f'frame failed: {type(error).__name__}: {error}'
        self.statistics.frame_failed(problem)
        self._complain(problem)

    def _note_stamp(self, begun_ns: int) -> None:
        """Remember the stamp of the frame that begins.

        When time runs backwards (a bag starts again), a stamp may lie before the table's. Latch
        the table anew in that case, so that it always covers the frames that follow it.
        """
        if begun_ns < self._newest_ns:
            self.statistics.time_ran_back()
        self._newest_ns = begun_ns
        if begun_ns < self._table.since_ns:
            self._latch(self._table.labels, begun_ns)

    def _latch(self, labels: LabelSet, since_ns: int) -> LabelTable:
        self._table = LabelTable(labels, since_ns)
        self.geometry.follow(self._table)
        self.outputs.tables.latch(self._table, self._settings.confidence_threshold)
        return self._table

    def _complain(self, problem: str) -> None:
        name = self.camera.name
        self._on_problem(f'{name}: {problem}' if name else problem)
