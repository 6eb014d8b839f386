# SPDX-License-Identifier: Apache-2.0
"""The stream of one camera: its images segmented under labels that change between two frames."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.clock import Clock
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image

from lseg_ros.labels import LabelSet
from lseg_ros.nodes.outputs import Outputs
from lseg_ros.nodes.statistics import StreamStatistics
from lseg_ros.segmenter import PreparedLabels, Segmenter
from lseg_ros.worker import Worker

ImageMessage = Image | CompressedImage
Decode = Callable[[ImageMessage], np.ndarray]


@dataclass(frozen=True)
class _Arrival:
    """A message from the camera, and how to make an array of it."""

    message: ImageMessage
    decode: Decode


@dataclass(frozen=True)
class LabelTable:
    """The labels that hold for every image stamped at or after `since_ns`; 0: for every image."""

    labels: LabelSet
    since_ns: int = 0


class SegmentationStream:
    """Takes messages of one camera, segments the newest, publishes; labels change between frames.

    Everything that is published, tables and frames, is published by the worker's thread, so that
    the tables are out before the first frame under them and after the last frame before them.
    """

    def __init__(self, segmenter: Segmenter, prepared: PreparedLabels, outputs: Outputs,
                 clock: Clock, on_problem: Callable[[str], None]) -> None:
        """Latch the tables of the first labels and start the worker; nothing else goes out yet.

        `on_problem` is told, in the worker's thread, why an image was given up.
        """
        self.segmenter = segmenter
        self.outputs = outputs
        self.statistics = StreamStatistics()
        self._clock = clock
        self._on_problem = on_problem
        self._last_problem = ''
        self._running = False
        self._newest_ns = -1
        self._worker: Worker[_Arrival] = Worker(
            self._process, self._report_failure, 'segmentation')
        self.set_labels(prepared)

    @property
    def dropped(self) -> int:
        """How many images gave way to a newer one."""
        return self._worker.dropped

    @property
    def failed(self) -> int:
        """How many images the network, or publishing, failed on."""
        return self._worker.failed

    @property
    def last_problem(self) -> str:
        """Why the last image that gave no result gave none; empty when all gave one."""
        return self._last_problem

    def offer(self, message: ImageMessage, decode: Decode) -> None:
        """Make `message` the next image to be segmented; returns at once.

        `decode`, called in the worker's thread, turns it into uint8 [H, W, 3] RGB, or raises
        ValueError with the reason why it cannot.
        """
        self.statistics.image_received()
        if self._running:
            self._worker.offer(_Arrival(message, decode))

    def start(self) -> None:
        """Segment what is offered from now on, and let the results out."""
        self.statistics.restart()
        self.outputs.open()
        self._running = True

    def pause(self) -> None:
        """Let no result out any more; once this returns there is none under way."""
        self._running = False
        self.outputs.shut()
        self._worker.discard()

    def close(self) -> None:
        """End the worker and remove the topics; the stream cannot be used again."""
        self.pause()
        self._worker.stop()
        self.outputs.destroy()

    def set_labels(self, prepared: PreparedLabels) -> LabelTable:
        """Change the labels at the next frame boundary; returns the table that then holds.

        Blocks for the rest of the frame in progress; other frames are not held up. Raises
        WorkerStopped when the stream is closed meanwhile.
        """
        self.outputs.add_masks(prepared.labels)
        table = self._worker.submit(lambda: self._swap(prepared)).result()
        self.outputs.remove_masks(prepared.labels)
        return table

    def set_confidence_threshold(self, threshold: float) -> None:
        """Leave pixels of less confidence, in [0, 1], unlabelled from the next frame on."""
        self.segmenter.confidence_threshold = threshold
        self._worker.submit(lambda: self._announce(self._table))

    def _swap(self, prepared: PreparedLabels) -> LabelTable:
        # No frame is in progress here, and those before had stamps up to the newest.
        table = LabelTable(prepared.labels, self._newest_ns + 1)
        self._announce(table)
        self._prepared, self._table = prepared, table
        return table

    def _announce(self, table: LabelTable) -> None:
        self.outputs.latch(table.labels, table.since_ns, self.segmenter.confidence_threshold)

    def _process(self, arrival: _Arrival) -> None:
        started = time.perf_counter()
        message = arrival.message
        try:
            image = arrival.decode(message)
        except ValueError as error:
            self.statistics.image_refused()
            self._complain(f'bad image: {error}')
            return
        stamp = Time.from_msg(message.header.stamp, clock_type=self._clock.clock_type)
        self._note_stamp(stamp.nanoseconds)
        segmentation, = self.segmenter.segment([image], self._prepared)
        if self.outputs.publish(message.header, image, segmentation, self._table.labels):
            age = self._clock.now() - stamp
            self.statistics.frame_published(age.nanoseconds / 1e9, time.perf_counter() - started)

    def _note_stamp(self, stamp_ns: int) -> None:
        """Remember the stamp of the frame that begins.

        Time that runs backwards (a bag played again) makes an earlier stamp than the table's: the
        table is then latched anew, so that it always covers the frames that follow it.
        """
        self._newest_ns = stamp_ns
        if stamp_ns < self._table.since_ns:
            self._table = LabelTable(self._table.labels, stamp_ns)
            self._announce(self._table)

    def _report_failure(self, error: Exception) -> None:
        self._complain(f'frame failed: {type(error).__name__}: {error}')

    def _complain(self, problem: str) -> None:
        self._last_problem = problem
        self._on_problem(problem)
