# SPDX-License-Identifier: Apache-2.0
"""One camera of the recorded drive, played back as a camera driver would publish it."""

from __future__ import annotations

import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lseg_ros.media.sources import Shot, open_source
from lseg_ros.nodes.camera.camera_node import camera_info_of
from lseg_ros.nodes.conversions import array_to_image

SOURCES = {'front': 'drive', 'left': 'drive/left', 'rear': 'drive/rear'}
SPACING_S = 0.02  # between depth and image, as if the sensor read them out in turn


class DriveCamera:
    """Publishes image, depth and camera info of one camera from a DDS participant of its own.

    Three cameras in one participant would share its small shared-memory segment and lose images.
    """

    def __init__(self, name: str) -> None:
        """Open the recording of the camera `name`: front, left or rear."""
        self.recording = open_source(SOURCES[name])
        self._frame_id = f'{name}_optical'
        self._context = rclpy.Context()
        self._context.init()
        self._node = rclpy.create_node('camera', namespace=name, context=self._context)
        self._image, self._depth, self._info = (
            self._node.create_publisher(kind, topic, qos_profile_sensor_data)
            for topic, kind in (('image', Image), ('depth', Image), ('camera_info', CameraInfo))
        )

    def publish(self, shot: Shot, stamp: Time) -> None:
        """Publish one frame of the recording."""
        header = Header(stamp=stamp.to_msg(), frame_id=self._frame_id)
        self._info.publish(camera_info_of(self.recording.camera, header))
        self._depth.publish(array_to_image(shot.depth_mm, '16UC1', header))
        time.sleep(SPACING_S)
        self._image.publish(array_to_image(shot.image, 'rgb8', header))

    def close(self) -> None:
        """Leave the network."""
        self._node.destroy_node()
        self._context.shutdown()
