# SPDX-License-Identifier: Apache-2.0
"""One camera of the stream: from its messages to frames, and from their results to its topics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.clock import Clock

from lseg_ros.core.cameras import Camera
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.core.smoothing import ScoreSmoother
from lseg_ros.core.statistics import StreamStatistics
from lseg_ros.labels import LabelSet
from lseg_ros.nodes.segmentation.camera_geometry import CameraGeometry
from lseg_ros.nodes.segmentation.frames import LAST_NS, Arrival, Frame, stamp_ns
from lseg_ros.nodes.segmentation.outputs import Outputs


@dataclass(frozen=True)
class LabelTable:
    """The labels that hold for every image stamped at or after `since_ns`; 0: for every image."""

    labels: LabelSet
    since_ns: int = 0


class CameraStream:
    """What belongs to one camera: its topics, its table and its figures.

    Apart from `outputs`, `geometry` and `statistics`, which any thread may use, only the worker's
    thread acts on it: tables and frames go out in the order in which they hold.
    """

    def __init__(
        self,
        camera: Camera,
        outputs: Outputs,
        geometry: CameraGeometry,
        smoother: ScoreSmoother,
        clock: Clock,
        on_problem: Callable[[str], None],
    ) -> None:
        """Stay silent until `announce`; `on_problem` is told why an image was given up."""
        self.camera = camera
        self.outputs = outputs
        self.geometry = geometry
        self.smoother = smoother
        self.statistics = StreamStatistics()
        self._clock = clock
        self._on_problem = on_problem
        self._last_problem = ''
        self._newest_ns = -1
        self._last_frame: Frame | None = None
        self._table: LabelTable | None = None

    @property
    def last_problem(self) -> str:
        """Why the last image that gave no result gave none; empty when all gave one."""
        return self._last_problem

    @property
    def last_frame(self) -> Frame | None:
        """The frame begun last; None before the first."""
        return self._last_frame

    def announce(self, labels: LabelSet, threshold: float) -> LabelTable:
        """Latch and return the table of labels that hold from the next frame on."""
        self.smoother.reset()
        # No frame is in progress here, and those before had stamps up to the newest.
        return self._latch(labels, min(self._newest_ns + 1, LAST_NS), threshold)

    def announce_threshold(self, threshold: float) -> None:
        """Latch the table in force with another confidence threshold."""
        self._latch(self._table.labels, self._table.since_ns, threshold)

    def set_parameter(self, name: str, value: float) -> None:
        """Let a parameter that applies at once to each camera do so; any thread may call this."""
        if name == 'overlay_alpha':
            self.outputs.overlay_alpha = value
        elif name == 'depth_slop':
            self.geometry.depth.set_slop(value)
        elif name == 'temporal_smoothing':
            self.smoother.smoothing = value

    def decode(self, arrival: Arrival, threshold: float) -> Frame | None:
        """Begin a frame; None when the message holds no usable image, which is counted."""
        started = time.perf_counter()
        try:
            begun_ns = stamp_ns(arrival.message.header)
            image = arrival.decode(arrival.message)
        except ValueError as error:
            self.statistics.image_refused()
            self._complain(f'bad image: {error}')
            return None
        self._note_stamp(begun_ns, threshold)
        self.smoother.begin(begun_ns / 1e9)
        self._last_frame = Frame(image, arrival.message.header, started)
        self.geometry.begin(self._last_frame)
        return self._last_frame

    def publish(self, frame: Frame, segmentation: Segmentation) -> None:
        """Send the result to those who listen, and count it unless the gate is shut."""
        if self.outputs.publish(frame.header, frame.image, segmentation, self._table.labels):
            self.geometry.publish(frame, segmentation)
            age_ns = self._clock.now().nanoseconds - stamp_ns(frame.header)
            self.statistics.frame_published(age_ns / 1e9, time.perf_counter() - frame.started)

    def give_up(self, error: Exception) -> None:
        """Count a frame that the network, or publishing, failed on."""
        self.statistics.frame_failed()
        self._complain(f'frame failed: {type(error).__name__}: {error}')

    def _note_stamp(self, begun_ns: int, threshold: float) -> None:
        """Remember the stamp of the frame that begins.

        Time that runs backwards (a bag played again) makes an earlier stamp than the table's: the
        table is then latched anew, so that it always covers the frames that follow it.
        """
        if begun_ns < self._newest_ns:
            self.statistics.time_ran_back()
        self._newest_ns = begun_ns
        if begun_ns < self._table.since_ns:
            self._latch(self._table.labels, begun_ns, threshold)

    def _latch(self, labels: LabelSet, since_ns: int, threshold: float) -> LabelTable:
        self.outputs.latch(labels, since_ns, threshold)
        self._table = LabelTable(labels, since_ns)
        return self._table

    def _complain(self, problem: str) -> None:
        self._last_problem = problem
        name = self.camera.name
        self._on_problem(f'{name}: {problem}' if name else problem)
