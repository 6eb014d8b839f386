# SPDX-License-Identifier: Apache-2.0
"""The stream of all cameras: segmented by one network, under labels that change between frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from sensor_msgs.msg import Image

from lseg_ros.core.segmenter import PreparedLabels, Segmentation, Segmenter
from lseg_ros.core.worker import Worker
from lseg_ros.nodes.segmentation.camera_stream import CameraStream, LabelTable
from lseg_ros.nodes.segmentation.frames import Arrival, Frame

Result = TypeVar('Result')
_Work = tuple[CameraStream, Frame]


class SegmentationStream:
    """Takes messages of the cameras, segments the newest of each in one batch, publishes.

    A batch holds every camera that has sent an image since the last one: it waits for none, and
    passes none over. Everything that is published, tables and frames, is published by the worker's
    thread, so that the tables are out before the first frame under them and after the last frame
    before them.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        prepared: PreparedLabels,
        cameras: Iterable[CameraStream],
        on_problem: Callable[[str], None],
        output_size: tuple[int, int] | None = None,
        threshold: float = 0.0,
    ) -> None:
        """Latch the tables of the first labels and start the worker; nothing else goes out yet.

        Results have `output_size` (height, width), or None: the size of their image. Pixels with
        a confidence below `threshold` become 255. `on_problem` is called, in the worker's thread,
        with failures other than those of single frames.
        """
        self.segmenter = segmenter
        self.cameras = MappingProxyType({stream.camera.name: stream for stream in cameras})
        self._output_size = output_size
        self.threshold = threshold
        self._running = False
        self._worker: Worker[Arrival] = Worker(
            self._process, lambda error: on_problem(f'batch failed: {error!r}'), 'segmentation'
        )
        self.set_labels(prepared)

    def offer(self, camera: str, arrival: Arrival) -> None:
        """Make this the next image of the camera to be segmented; returns at once."""
        statistics = self.cameras[camera].statistics
        statistics.image_received()
        if self._running and not self._worker.offer(arrival, camera):
            statistics.image_dropped()

    def offer_depth(self, camera: str, message: Image) -> None:
        """Keep a depth frame of the camera for its image; returns at once."""
        geometry = self.cameras[camera].geometry
        if geometry.receive_depth(message):
            self._worker.submit(geometry.publish_points)

    def start(self) -> None:
        """Segment what is offered from now on, and let the results out."""
        for camera in self.cameras.values():
            camera.statistics.restart()
            camera.outputs.open()
        self._running = True

    def pause(self) -> None:
        """Let no result out any more; once this returns there is none under way."""
        self._running = False
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
        """Change the labels at the next frame boundary; returns the table that then holds.

        Each camera's table has its own stamp; the one returned has the latest of them, and so is
        true of every camera. Blocks for the rest of the batch in progress; other frames are not
        held up. Raises WorkerStopped when the stream is closed meanwhile.
        """
        for camera in self.cameras.values():
            camera.outputs.add_masks(prepared.labels)
        table = self._worker.submit(lambda: self._swap(prepared)).result()
        for camera in self.cameras.values():
            camera.outputs.remove_masks(prepared.labels)
        return table

    @property
    def prepared(self) -> PreparedLabels:
        """The labels in force."""
        return self._prepared

    def between_batches(self, function: Callable[[], Result]) -> Result:
        """Run `function` in the worker's thread, where the network is free, and wait for it.

        Raises what it raises, and WorkerStopped when the stream is closed meanwhile.
        """
        return self._worker.submit(function).result()

    def set_parameter(self, name: str, value: float) -> None:
        """Let a parameter that applies at once do so; others are none of the stream's business."""
        if name == 'max_rate':
            self.set_max_rate(value)
        elif name == 'confidence_threshold':
            self.threshold = value
            for camera in self.cameras.values():
                self._worker.submit(partial(camera.announce_threshold, value))
        else:
            for camera in self.cameras.values():
                camera.set_parameter(name, value)

    def set_max_rate(self, rate: float) -> None:
        """Begin at most `rate` batches a second from now on; 0: as many as there are images."""
        self._worker.set_period(1.0 / rate if rate else 0.0)

    def _swap(self, prepared: PreparedLabels) -> LabelTable:
        tables = [
            camera.announce(prepared.labels, self.threshold) for camera in self.cameras.values()
        ]
        self._prepared = prepared
        return max(tables, key=lambda table: table.since_ns)

    def _process(self, arrivals: Mapping[str, Arrival]) -> None:
        batch = []
        for name, arrival in arrivals.items():
            camera = self.cameras[name]
            frame = camera.decode(arrival, self.threshold)
            if frame is not None:
                batch.append((camera, frame))
        for (camera, frame), segmentation in self._segment(batch):
            try:
                camera.publish(frame, segmentation)
            except Exception as error:  # the other cameras' frames still go out
                camera.give_up(error)

    def _segment(self, batch: Sequence[_Work]) -> list[tuple[_Work, Segmentation]]:
        """Return the frames with their results, without those that the network fails on."""
        try:
            images = [frame.image for _, frame in batch]
            filters = [camera.smoother for camera, _ in batch]
            return list(
                zip(
                    batch,
                    self.segmenter.segment(
                        images,
                        self._prepared,
                        threshold=self.threshold,
                        output_size=self._output_size,
                        filters=filters,
                    ),
                )
            )
        except Exception as error:
            # One by one, so that only the frame at fault is lost; a smoother may be asked again.
            if len(batch) > 1:
                return [pair for work in batch for pair in self._segment([work])]
            batch[0][0].give_up(error)
            return []
