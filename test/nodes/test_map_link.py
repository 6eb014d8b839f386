# SPDX-License-Identifier: Apache-2.0
"""What the dashboard keeps of a map node, whether or not a page is open."""

from __future__ import annotations

import numpy as np
import rclpy
from harness import BARE, LATCHED, Client, running
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from lseg_ros.core.cloud import POINT
from lseg_ros.nodes.conversions import POINT_FIELDS
from lseg_ros.nodes.dashboard.map_link import MapLink
from lseg_ros.srv import QueryMap


def test_voxels_are_forgotten_when_their_node_ends_although_no_page_is_open(ros_context):
    client = Client(ros_context, '/ended_map')
    map_node = rclpy.create_node('lseg_map', context=ros_context, namespace=client.namespace, **BARE)
    service = map_node.create_service(QueryMap, '~/query_map', lambda _, response: response)
    voxels = map_node.create_publisher(PointCloud2, '~/voxels', LATCHED)
    voxels.publish(point_cloud2.create_cloud(Header(frame_id='map'), POINT_FIELDS, np.ones(3, POINT)))
    link = MapLink(client.node, 'lseg_map')
    with running(client.node), running(map_node):
        client.poll(lambda: link.is_running, 'the map node')
        link.want_voxels()  # once, as the last page to be open does
        client.poll(lambda: link.points is not None, 'voxels')
        assert link.points.places.tolist() == [[1.0] * 3] * 3
        map_node.destroy_service(service)
        client.poll(lambda: not link.is_running, 'the end of the map node')
        client.poll(lambda: link.points is None, 'the voxels to be forgotten')
