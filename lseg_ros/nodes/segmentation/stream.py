# SPDX-License-Identifier: Apache-2.0
"""The stream of all cameras: one network, and labels that change between frames."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from rclpy.node import Node
from sensor_msgs.msg import Image

from lseg_ros.core.cameras import Camera, parse_cameras
from lseg_ros.core.segmenter import PreparedLabels, Segmentation, Segmenter
from lseg_ros.core.smoothing import ScoreSmoother
from lseg_ros.core.worker import Worker
from lseg_ros.labels import LabelSet
from lseg_ros.nodes.camera_info import parse_output_size
from lseg_ros.nodes.segmentation.camera_geometry import CameraGeometry
from lseg_ros.nodes.segmentation.camera_stream import CameraStream
from lseg_ros.nodes.segmentation.frames import Arrival, Frame, LabelTable, Terms
from lseg_ros.nodes.segmentation.label_tables import await_delivery
from lseg_ros.nodes.segmentation.outputs import Outputs
from lseg_ros.nodes.segmentation.settings import Settings

Result = TypeVar('Result')
_Work = tuple[CameraStream, Frame]


class SegmentationStream:
    """Segments the newest image of each camera, all in one batch, and publishes the results.

    A batch holds one image of every camera that has sent any since the last batch: it waits for
    no camera and skips none. The worker's thread alone publishes, tables and frames alike, so that
    a table goes out before the first frame under it and after the last frame under its
    predecessor. That thread alone reads and replaces the terms, too.
    """

    def __init__(
        self, segmenter: Segmenter, terms: Terms, cameras: Iterable[CameraStream], on_problem: Callable[[str], None]
    ) -> None:
        """Check the settings, take `cameras` one by one and start the worker, paused.

        No table is latched before `set_labels`. `on_problem` is called when a whole batch fails.
        """
        self._output_size = parse_output_size(terms.settings.output_size)
        self.segmenter = segmenter
        self.cameras = MappingProxyType({stream.camera.name: stream for stream in cameras})
        self._terms = terms
        self._running = threading.Event()
        self._worker: Worker[Arrival] = Worker(
            self._process, lambda error: on_problem(f'batch failed: {error!r}'), 'segmentation'
        )

    def offer(self, camera: str, arrival: Arrival) -> None:
        """Make this the next image of the camera to be segmented; return at once."""
        statistics = self.cameras[camera].statistics
        statistics.image_received()
        if self._running.is_set() and not self._worker.offer(arrival, camera):
            statistics.image_dropped()

    def offer_depth(self, camera: str, message: Image) -> None:
        """Keep a depth frame of the camera for its image; return at once."""
        stream = self.cameras[camera]
        if stream.geometry.receive_depth(message):
            self._worker.submit(stream.publish_points)

    def start(self) -> None:
        """Segment what is offered from now on, and publish the results."""
        for camera in self.cameras.values():
            camera.statistics.restart()
            camera.outputs.open()
        self._running.set()

    def pause(self) -> None:
        """Publish no more results; once this returns, none is under way."""
        self._running.clear()
        for camera in self.cameras.values():
            camera.outputs.shut()
        self._worker.discard()

    def close(self) -> None:
        """End the worker and remove the topics; the stream cannot be used again."""
        self.pause()
        self._worker.stop()
        for camera in self.cameras.values():
            camera.outputs.destroy()

    def set_labels(self, prepared: PreparedLabels) -> LabelTable:
        """Change the labels at the next frame boundary; return the table then in force.

        Each camera's table has its own stamp; the table returned has the latest of them, and so
        is true of every camera. Block for the rest of the batch in progress, without holding up
        other frames. Raise WorkerStopped if the stream is closed meanwhile, and what rclpy raises
        if it refuses a mask's topic; the labels are as before then.
        """
        try:
            for camera in self.cameras.values():
                camera.outputs.add_masks(prepared.labels)
        except Exception:
            self._remove_masks(self.between_batches(lambda terms: terms.prepared.labels))
            raise
        table = self._worker.submit(lambda: self._change_labels(prepared)).result()
        self._remove_masks(prepared.labels)
        return table

    def apply(self, settings: Settings) -> None:
        """Put the settings that apply at once into force from the next batch on."""
        self._worker.set_period(1.0 / settings.max_rate if settings.max_rate else 0.0)
        self._worker.submit(lambda: self._change_settings(settings))

    def between_batches(self, function: Callable[[Terms], Result]) -> Result:
        """Run `function` in the worker's thread, while the network is free, and wait for it.

        `function` is called with the terms in force. Raise what it raises, and WorkerStopped if
        the stream is closed meanwhile.
        """
        return self._worker.submit(lambda: function(self._terms)).result()

    def _remove_masks(self, labels: LabelSet) -> None:
        """Remove the mask topics of everything that is not in `labels`."""
        for camera in self.cameras.values():
            camera.outputs.remove_masks(labels)

    def _change_labels(self, prepared: PreparedLabels) -> LabelTable:
        self._terms = replace(self._terms, prepared=prepared)
        tables = [camera.announce(self._terms) for camera in self.cameras.values()]
        return max(tables, key=lambda table: table.since_ns)

    def _change_settings(self, settings: Settings) -> None:
        self._terms = replace(self._terms, settings=settings)
        for camera in self.cameras.values():
            camera.apply(settings)

    def _process(self, arrivals: Mapping[str, Arrival]) -> None:
        batch = []
        for name, arrival in arrivals.items():
            camera = self.cameras[name]
            if frame := camera.decode(arrival):
                batch.append((camera, frame))
        results = self._segment(batch)
        for (camera, _), _ in results:
            camera.outputs.note_consumers()
        await_delivery(camera.outputs.tables for (camera, _), _ in results)
        for (camera, frame), segmentation in results:
            try:
                camera.publish(frame, segmentation)
            except Exception as error:  # the other cameras' frames still go out
                camera.give_up(error)

    def _segment(self, batch: Sequence[_Work]) -> list[tuple[_Work, Segmentation]]:
        """Return the frames with their results, except those that the network fails on."""
        try:
            results = self.segmenter.segment(
                [frame.picture.pixels for _, frame in batch],
                self._terms.prepared,
                sizes=[frame.size for _, frame in batch],
                threshold=self._terms.settings.confidence_threshold,
                output_size=self._output_size,
                filters=[camera.smoother for camera, _ in batch],
                embed=any(camera.outputs.is_embedding_wanted for camera, _ in batch),
            )
            return list(zip(batch, results))
        except Exception as error:
            # Try one by one, to lose only the frame at fault; a smoother may be asked again.
            if len(batch) > 1:
                return [pair for work in batch for pair in self._segment([work])]
            batch[0][0].give_up(error)
            return []


def create_stream(
    node: Node, segmenter: Segmenter, terms: Terms, on_problem: Callable[[str], None]
) -> SegmentationStream:
    """Return the stream that the settings ask for, with its tables latched, paused.

    Publishers are created on `node`. `on_problem` is called with a description of each problem.
    Raise ValueError for an unusable setting, and what rclpy raises; no topic remains then.
    """
    settings = terms.settings
    with ExitStack() as undo:

        def create_camera(camera: Camera) -> CameraStream:
            outputs = Outputs(node, camera)
            undo.callback(outputs.destroy)
            geometry = CameraGeometry(outputs, settings)
            smoother = ScoreSmoother(settings.temporal_smoothing, settings.temporal_warp)
            return CameraStream(
                camera, outputs, geometry, smoother, node.get_clock(), segmenter.network_size, on_problem
            )

        stream = SegmentationStream(segmenter, terms, map(create_camera, parse_cameras(settings.cameras)), on_problem)
        undo.callback(stream.close)
        stream.set_labels(terms.prepared)
        stream.apply(settings)
        undo.pop_all()
    return stream
