# SPDX-License-Identifier: Apache-2.0
"""The topics of the map: voxels, ground, objects, and the relevance of the last query."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from lseg_ros.error_text import one_line
from lseg_ros.mapping.labelled_map import LabelledMap
from lseg_ros.nodes.latched import LATCHED
from lseg_ros.nodes.map.map_messages import grid_to_message, things_to_detections, things_to_markers, voxels_to_cloud
from lseg_ros.nodes.map.map_worker import MapWorker
from lseg_ros.nodes.steady import steady_timer

NEVER = -1


class MapOutputs:
    """Publishes the map when it has changed, and only topics that somebody has subscribed to."""

    def __init__(self, node: Node, rate: float, worker: MapWorker, on_problem: Callable[[str], None]) -> None:
        """Create the publishers on `node`, and look for changes `rate` times a second.

        `on_problem` is called with why the map cannot be published.
        """
        self._on_problem = on_problem
        self._node = node
        self._worker = worker
        self._makers: dict[Publisher, Callable[[LabelledMap, Header], Any]] = {
            node.create_publisher(PointCloud2, '~/voxels', LATCHED): _voxels,
            node.create_publisher(OccupancyGrid, '~/grid', LATCHED): _grid,
            node.create_publisher(Detection3DArray, '~/objects', LATCHED): _objects,
            node.create_publisher(MarkerArray, '~/object_markers', LATCHED): _markers,
        }
        self.relevance = node.create_publisher(PointCloud2, '~/relevance', LATCHED)
        self._sent = dict.fromkeys(self._makers, NEVER)
        self._job: Future[Any] | None = None
        self._timer = steady_timer(node, 1 / rate, self._publish_changes)

    def destroy(self) -> None:
        """Remove the topics."""
        self._node.destroy_timer(self._timer)
        for publisher in (*self._makers, self.relevance):
            self._node.destroy_publisher(publisher)

    def _publish_changes(self) -> None:
        changes = self._worker.changes
        due = [each for each, sent in self._sent.items() if sent != changes and each.get_subscription_count()]
        if due and changes and (self._job is None or self._job.done()):
            self._job = self._worker.run(lambda: self._publish(due))
            self._job.add_done_callback(self._report)

    def _report(self, job: Future[Any]) -> None:
        if not job.cancelled() and (error := job.exception()):
            self._on_problem(f'map not published: {one_line(error)}')

    def _publish(self, due: list[Publisher]) -> None:
        """Send the present map, in its thread."""
        changes, now, header = self._worker.changes, self._worker.labelled(), self._worker.header()
        for publisher in due:
            publisher.publish(self._makers[publisher](now, header))
            self._sent[publisher] = changes


def _grid(now: LabelledMap, header: Header) -> OccupancyGrid:
    return grid_to_message(now.ground, header, now.limits.floor)


def _voxels(now: LabelledMap, header: Header) -> PointCloud2:
    return voxels_to_cloud(now.voxels, now.labels.ids, now.labels.confidence, now.voxel_size, header)


def _objects(now: LabelledMap, header: Header) -> Detection3DArray:
    return things_to_detections(now.objects, header)


def _markers(now: LabelledMap, header: Header) -> MarkerArray:
    return things_to_markers(now.objects, now.colors, header)
