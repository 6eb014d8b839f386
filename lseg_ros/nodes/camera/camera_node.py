# SPDX-License-Identifier: Apache-2.0
"""A camera for tests and demonstrations: publishes pictures from disk, a video or a webcam."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from lseg_ros.media.sources import CameraModel, Shot, open_source
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.process import run_node
from lseg_ros.nodes.refusals import refuse_bad_requests

MAP_FRAME = 'map'  # of the poses of a recording
_SOURCE = ParameterDescriptor(
    description='drive: the recorded drive (drive/left and drive/rear: its other cameras); a '
    'number: a webcam; otherwise the path of a picture, a folder or a video, or a pattern such as '
    '*.jpg.',
    read_only=True,
    dynamic_typing=True,
)
_RATE = ParameterDescriptor(
    description='Images per second.',
    read_only=True,
    floating_point_range=[FloatingPointRange(from_value=0.1, to_value=1000.0)],
)
_LOOP = ParameterDescriptor(description='Whether to start again at the end; otherwise the node exits.', read_only=True)
_FRAME_ID = ParameterDescriptor(description='frame_id of every header.', read_only=True)


class CameraNode(Node):
    """Publishes `image` and, if the source has them, `depth`, `camera_info` and poses on /tf."""

    def __init__(self, **node_arguments: Any) -> None:
        """Open the source; raise OSError or ValueError if it cannot be used."""
        super().__init__('camera', **node_arguments)
        refuse_bad_requests(self)
        self._source = open_source(str(self.declare_parameter('source', 'drive', _SOURCE).value))
        rate: float = self.declare_parameter('rate', 10.0, _RATE).value
        self._loop: bool = self.declare_parameter('loop', True, _LOOP).value
        self._frame_id: str = self.declare_parameter('frame_id', 'camera_optical', _FRAME_ID).value
        self._shots: Iterator[Shot] = iter(self._source)
        self._image = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        if self._source.camera is not None:
            self._depth = self.create_publisher(Image, 'depth', qos_profile_sensor_data)
            self._camera_info = self.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
        self._transforms = TransformBroadcaster(self)
        self.finished = False
        self._timer = self.create_timer(1.0 / rate, self._publish_next)

    def _publish_next(self) -> None:
        shot = self._next_shot()
        if shot is None:
            self._timer.cancel()
            self.finished = True
            return
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id)
        if shot.pose is not None:
            self._transforms.sendTransform(transform_of(shot.pose, header))
        self._image.publish(array_to_image(shot.image, 'rgb8', header))
        if self._source.camera is not None and shot.depth_mm is not None:
            self._depth.publish(array_to_image(shot.depth_mm, '16UC1', header))
            self._camera_info.publish(camera_info_of(self._source.camera, header))

    def _next_shot(self) -> Shot | None:
        shot = next(self._shots, None)
        if shot is None and self._loop:
            self._shots = iter(self._source)
            shot = next(self._shots, None)
        return shot


def camera_info_of(camera: CameraModel, header: Header) -> CameraInfo:
    """Return the calibration of a camera without distortion."""
    fx, skew, cx, _, fy, cy, *_ = camera.matrix
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=list(camera.matrix),
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, skew, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def transform_of(pose: np.ndarray, header: Header) -> TransformStamped:
    """Return the pose [4, 4] of the frame of `header` in the map as a transform."""
    transform = TransformStamped(header=Header(stamp=header.stamp, frame_id=MAP_FRAME), child_frame_id=header.frame_id)
    place, turn = transform.transform.translation, transform.transform.rotation
    place.x, place.y, place.z = map(float, pose[:3, 3])
    axis = cv2.Rodrigues(pose[:3, :3])[0].ravel()  # its length is the angle
    angle = float(np.linalg.norm(axis))
    turn.x, turn.y, turn.z = map(float, axis * np.sin(angle / 2) / max(angle, 1e-12))
    turn.w = float(np.cos(angle / 2))
    return transform


def main() -> int:
    """Publish until the source ends or the node is stopped; return the exit code."""
    return run_node('camera_node', CameraNode, is_finished=lambda node: node.finished)
