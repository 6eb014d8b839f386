# SPDX-License-Identifier: Apache-2.0
"""The map as messages: clouds, a grid, objects and answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import Marker, MarkerArray

from lseg_ros.core.cloud import POINT
from lseg_ros.mapping.approach import GroundPose
from lseg_ros.mapping.asking import Answer, Thing
from lseg_ros.mapping.ground_grid import GroundGrid
from lseg_ros.mapping.voxel_map import Voxels
from lseg_ros.msg import MapAnswer
from lseg_ros.nodes.conversions import POINT_FIELDS

BOX_ALPHA = 0.25
TEXT_M = 0.2  # the height of a capital letter
Color: TypeAlias = tuple[int, int, int]


def voxels_to_cloud(
    voxels: Voxels, ids: np.ndarray, confidence: np.ndarray, voxel_size: float, header: Header
) -> PointCloud2:
    """Return the centres of N voxels with their colours, labels and the confidence in them.

    `ids` are uint8 [N], `confidence` is float32 [N], and `voxel_size` is in metres.
    """
    points = np.zeros(len(voxels), POINT)
    for axis, name in enumerate('xyz'):
        points[name] = (voxels.cells[:, axis] + 0.5) * voxel_size
    red, green, blue = voxels.colors.T.astype('<u4')
    points['rgb'] = ((red << 16) | (green << 8) | blue).view('<f4')
    points['label'], points['confidence'] = ids, confidence
    return point_cloud2.create_cloud(header, POINT_FIELDS, points)


def grid_to_message(grid: GroundGrid, header: Header, height: float) -> OccupancyGrid:
    """Return the ground as a grid that lies at a height, in metres."""
    message = OccupancyGrid(header=header)
    message.info.map_load_time = header.stamp
    message.info.resolution = grid.cell_size
    message.info.height, message.info.width = grid.states.shape
    message.info.origin.position = Point(x=grid.corner[0], y=grid.corner[1], z=height)
    message.data = grid.states.ravel().tolist()
    return message


def things_to_detections(things: Sequence[tuple[str, Thing]], header: Header) -> Detection3DArray:
    """Return things with the names of their classes as detections."""
    array = Detection3DArray(header=header)
    for name, thing in things:
        detection = Detection3D(header=header)
        detection.bbox.center.position = _point(thing.centre)
        detection.bbox.size = _vector(thing.size)
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = name, thing.score
        result.pose.pose.position = _point(thing.centre)
        detection.results = [result]
        array.detections.append(detection)
    return array


def things_to_markers(things: Sequence[tuple[str, Thing]], colors: Mapping[str, Color], header: Header) -> MarkerArray:
    """Return a box around each thing, in the colour of its class, and the name of the class on it.

    The first marker deletes those of the message before. `colors` are R, G and B, 0 to 255. Without
    a stamp and locked to the frame of the map, they keep their place in it when the camera moves.
    """
    header = Header(frame_id=header.frame_id)
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for number, (name, thing) in enumerate(things):
        red, green, blue = (channel / 255 for channel in colors[name])
        box = Marker(header=header, ns='box', id=number, type=Marker.CUBE, frame_locked=True)
        box.pose.position = _point(thing.centre)
        box.scale = _vector(thing.size)
        box.color = ColorRGBA(r=red, g=green, b=blue, a=BOX_ALPHA)
        text = Marker(header=header, ns='name', id=number, type=Marker.TEXT_VIEW_FACING, text=name, frame_locked=True)
        text.pose.position = _point(thing.centre)
        text.scale.z = TEXT_M
        text.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        markers += (box, text)
    return MarkerArray(markers=markers)


def answer_to_message(answer: Answer, height: float) -> MapAnswer:
    """Return an answer of ~/query_map; its pose lies at a height, in metres."""
    thing, place = answer.thing, answer.place
    return MapAnswer(
        prompt=answer.prompt,
        score=thing.score,
        center=_point(thing.centre),
        size=_vector(thing.size),
        points=len(thing.members),
        has_pose=place.pose is not None,
        reason=place.reason,
        pose=Pose() if place.pose is None else _pose(place.pose, height),
    )


def _point(place: np.ndarray) -> Point:
    x, y, z = map(float, place)
    return Point(x=x, y=y, z=z)


def _vector(size: np.ndarray) -> Vector3:
    x, y, z = map(float, size)
    return Vector3(x=x, y=y, z=z)


def _pose(pose: GroundPose, height: float) -> Pose:
    turn = Quaternion(z=math.sin(pose.yaw / 2), w=math.cos(pose.yaw / 2))
    return Pose(position=Point(x=pose.x, y=pose.y, z=height), orientation=turn)
