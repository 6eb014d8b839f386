# SPDX-License-Identifier: Apache-2.0
"""The map node as the page sees it: its voxels and its answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2

from lseg_ros.nodes.client import MapClient
from lseg_ros.nodes.dashboard.feeds import TEND_S, Feed
from lseg_ros.nodes.latched import LATCHED
from lseg_ros.nodes.steady import steady_timer
from lseg_ros.srv import QueryMap

MOST_POINTS = 20_000  # that are sent to a browser
ANSWERS = 5


@dataclass(frozen=True)
class MapPoints:
    """Voxels: their centres in metres, float32 [N, 3], and colours, RGB from 0 to 1, [N, 3]."""

    places: np.ndarray
    colors: np.ndarray


class MapLink:
    """A client of one map node, subscribed to its voxels only while somebody looks at them."""

    def __init__(self, node: Node, target: str) -> None:
        """Prepare the topics and services of the map node `target`."""
        self.points: MapPoints | None = None
        self._client = MapClient(node, target)
        self._voxels = Feed(node, PointCloud2, f'{target}/voxels', self._take_voxels, LATCHED)
        self._was_running = False
        steady_timer(node, TEND_S, self._tend)

    @property
    def is_running(self) -> bool:
        """Whether there is such a map node now."""
        return self._client.offers('query_map')

    def want_voxels(self) -> None:
        """Keep the voxels up to date for the next seconds."""
        self._voxels.want()

    def query(self, text: str) -> QueryMap.Response:
        """Look for a text in the map.

        Raise ValueError if the node refuses, TimeoutError if it does not answer.
        """
        response = self._client.query_map([text], ANSWERS)
        if not response.success:
            raise ValueError(response.message)
        return response

    def _tend(self) -> None:
        self._voxels.tend()
        was_running, self._was_running = self._was_running, self.is_running
        if was_running and not self._was_running:
            self.points = None  # they are those of a node that has ended

    def _take_voxels(self, message: PointCloud2) -> None:
        cloud = point_cloud2.read_points(message, ['x', 'y', 'z', 'rgb'])  # no tuple, which some versions refuse
        some = np.arange(len(cloud))
        if len(cloud) > MOST_POINTS:
            some = np.random.default_rng(0).choice(len(cloud), MOST_POINTS, replace=False)
        places = np.stack([cloud[axis][some] for axis in 'xyz'], axis=-1)
        packed = np.ascontiguousarray(cloud['rgb'][some], np.float32).view(np.uint32)
        colors = np.stack([packed >> shift & 255 for shift in (16, 8, 0)], axis=-1) / 255
        self.points = MapPoints(places, colors)
