# SPDX-License-Identifier: Apache-2.0
"""Receive what the map node publishes during the drive."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py.point_cloud2 import dtype_from_fields
from vision_msgs.msg import Detection3D, Detection3DArray

from lseg_ros.nodes.latched import LATCHED

MAP_TIMEOUT_S = 30.0
QUIET_S = 2.0  # without a change: the last frames are in the map


@dataclass(frozen=True)
class PublishedMap:
    """The voxels of the map, as points with a label, and its objects."""

    points: np.ndarray
    objects: list[Detection3D]


class MapListener(Node):
    """Subscribes to the map node `lseg_map`; spin it in another thread."""

    def __init__(self) -> None:
        """Subscribe to voxels, objects and diagnostics."""
        super().__init__('lseg_demo_map')
        self.frames = 0  # that are in the map, when diagnostics were sent last
        self._voxels: PointCloud2 | None = None
        self._objects: Detection3DArray | None = None
        self._arrival = threading.Condition()
        self.create_subscription(PointCloud2, 'lseg_map/voxels', self._take_voxels, LATCHED)
        self.create_subscription(Detection3DArray, 'lseg_map/objects', self._take_objects, LATCHED)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)

    @property
    def voxel_count(self) -> int:
        """Number of voxels in the last message."""
        return self._voxels.width * self._voxels.height if self._voxels else 0

    def wait_for_map(self) -> PublishedMap:
        """Return the map once it no longer changes; raise TimeoutError if there is none."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: self._voxels and self._objects, MAP_TIMEOUT_S):
                raise TimeoutError(f'the node lseg_map published no map in {MAP_TIMEOUT_S:.0f} s')
            while self._arrival.wait(QUIET_S):
                pass
            points = np.frombuffer(self._voxels.data, dtype_from_fields(self._voxels.fields))
            return PublishedMap(points, [*self._objects.detections])

    def _take_voxels(self, message: PointCloud2) -> None:
        with self._arrival:
            self._voxels = message
            self._arrival.notify_all()

    def _take_objects(self, message: Detection3DArray) -> None:
        with self._arrival:
            self._objects = message
            self._arrival.notify_all()

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for item in status.values:
                if item.key == 'frames integrated':
                    self.frames = int(item.value)
