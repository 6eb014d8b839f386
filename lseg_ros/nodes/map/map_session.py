# SPDX-License-Identifier: Apache-2.0
"""A map with all that feeds, labels, saves and shows it, from configure to cleanup."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from rclpy.node import Node
from tf2_ros import Buffer, TransformListener

from lseg_ros.core.cameras import Camera, parse_cameras
from lseg_ros.core.table_history import TableHistory
from lseg_ros.error_text import one_line
from lseg_ros.mapping.labelling import EncodedLabels
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.awaiting import end_of
from lseg_ros.nodes.conversions import stamp_ns
from lseg_ros.nodes.diagnostics import Health
from lseg_ros.nodes.label_messages import label_set_from_message
from lseg_ros.nodes.latched import EVERY_TABLE
from lseg_ros.nodes.map.autosave import Autosave
from lseg_ros.nodes.map.map_health import MapHealth
from lseg_ros.nodes.map.map_inputs import CameraInputs
from lseg_ros.nodes.map.map_labels import MapLabels
from lseg_ros.nodes.map.map_outputs import MapOutputs
from lseg_ros.nodes.map.map_settings import MapNodeSettings
from lseg_ros.nodes.map.map_worker import MapWorker
from lseg_ros.nodes.map.text_client import TextClient
from lseg_ros.nodes.steady import steady_timer

Result = TypeVar('Result')
MATCHING_PERIOD_S = 0.03


class MapSession:
    """Connects a map, which has a thread of its own, with topics. For the executor's thread only.

    It knows the segmentation node by its topics and services.
    """

    def __init__(self, node: Node, settings: MapNodeSettings, on_problem: Callable[[str], None]) -> None:
        """Make an empty map and its topics on `node`, and follow the segmentation node's labels.

        `on_problem` is called with whatever goes wrong later. Raise ValueError for a setting that
        cannot be used, and what rclpy raises; no topic remains then.
        """
        self._node = node
        self._settings = settings
        self._on_problem = on_problem
        self._cameras = parse_cameras(settings.cameras)
        self._inputs: tuple[CameraInputs, ...] = ()
        with ExitStack() as undo:
            self.worker = MapWorker(settings)
            self._buffer = Buffer(node=node)
            undo.callback(TransformListener(self._buffer, node).unregister)
            self.texts = TextClient(node, settings.segmentation_node)
            undo.callback(self.texts.destroy)
            self.labels = MapLabels(self.texts, self._use_labels, on_problem)
            self._autosave, self._health = Autosave(self.worker, on_problem), MapHealth(self.worker)
            self.outputs = MapOutputs(node, settings.publish_rate, self.worker, on_problem)
            undo.callback(self.outputs.destroy)
            # For votes, by camera: each has stamps of its own.
            self._tables = {camera.name: TableHistory() for camera in self._cameras if settings.uses_votes}
            for camera in self._cameras if settings.uses_votes else self._cameras[:1]:
                self._follow_tables(camera, undo)
            self._repeat(MATCHING_PERIOD_S, self._match, undo)
            if settings.autosave_period:
                self._repeat(settings.autosave_period, self._autosave.save_changes, undo)
            undo.callback(self.worker.close)  # before its topics go
            undo.callback(self.stop)
            self._undo = undo.pop_all()

    def start(self) -> None:
        """Subscribe to the cameras."""
        self._buffer.clear()
        self._inputs = tuple(
            CameraInputs(
                self._node, camera, self._settings, self._buffer, self._tables.get(camera.name), self._on_problem
            )
            for camera in self._cameras
        )

    def stop(self) -> None:
        """Unsubscribe from the cameras; the map is kept, and goes on answering."""
        for camera in self._inputs:
            camera.destroy()
        self._inputs = ()

    def close(self) -> None:
        """Drop the map and remove its topics."""
        self._undo.close()

    def apply(self, settings: MapNodeSettings) -> None:
        """Put parameters that apply at once into force."""
        self._settings = settings
        self.worker.run(lambda: self.worker.use(settings))

    async def run(self, function: Callable[[MapWorker], Result]) -> Result:
        """Return what a function does in the map's thread; raise what it raises."""
        job = self.worker.run(lambda: function(self.worker))
        await end_of(self._node, job)
        return job.result()

    def examine(self) -> Health:
        """Return the state of the map."""
        return self._health.examine(self._inputs, self._autosave.problem)

    def _follow_tables(self, camera: Camera, undo: ExitStack) -> None:
        topic = f'{self._settings.segmentation_node}/{camera.input("label_set")}'
        follow = partial(self._follow, camera)
        subscription = self._node.create_subscription(LabelSetMessage, topic, follow, EVERY_TABLE)
        undo.callback(self._node.destroy_subscription, subscription)

    def _repeat(self, period_s: float, action: Callable[[], None], undo: ExitStack) -> None:
        undo.callback(self._node.destroy_timer, steady_timer(self._node, period_s, action))

    def _match(self) -> None:
        """Hand complete frames to the map, and labels to be encoded to the segmentation node."""
        for camera in self._inputs:
            for frame in camera.complete(self._settings.tf_timeout):
                self.worker.offer(frame, self._on_problem)
        if not self._settings.uses_votes:
            self.labels.follow(self._node)

    def _follow(self, camera: Camera, message: LabelSetMessage) -> None:
        try:
            labels, since_ns = label_set_from_message(message), stamp_ns(message.header)
        except ValueError as error:
            self._on_problem(f'label_set not used: {one_line(error)}')
            return
        if camera.name in self._tables:
            self._tables[camera.name].add(since_ns, labels)
        if camera == self._cameras[0]:  # all have the same labels
            if self._settings.uses_votes:
                self.worker.run(lambda: self.worker.follow(labels))
            self.labels.announce(labels)

    async def _use_labels(self, labels: EncodedLabels) -> None:
        await self.run(lambda worker: worker.set_labels(labels))
