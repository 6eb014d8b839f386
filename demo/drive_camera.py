# SPDX-License-Identifier: Apache-2.0
"""The cameras of the recorded drive, played back as camera drivers would publish them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import rclpy
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from lseg_ros.media.sources import Shot, open_source
from lseg_ros.nodes.camera.camera_node import camera_info_of, transform_of
from lseg_ros.nodes.conversions import array_to_image

SOURCES = {'front': 'drive', 'left': 'drive/left', 'rear': 'drive/rear'}
SPACING_S = 0.02  # between depth and image, as if the sensor read them out in turn


class DriveCamera:
    """Publishes image, depth, camera info and pose of one camera from a DDS participant of its own.

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
        self._transforms = TransformBroadcaster(self._node)

    def publish(self, shot: Shot, stamp: Time) -> None:
        """Publish one frame of the recording."""
        header = Header(stamp=stamp.to_msg(), frame_id=self._frame_id)
        if shot.pose is not None:
            self._transforms.sendTransform(transform_of(shot.pose, header))
        self._info.publish(camera_info_of(self.recording.camera, header))
        self._depth.publish(array_to_image(shot.depth_mm, '16UC1', header))
        time.sleep(SPACING_S)
        self._image.publish(array_to_image(shot.image, 'rgb8', header))

    def close(self) -> None:
        """Leave the network."""
        self._node.destroy_node()
        self._context.shutdown()


@contextmanager
def drive_cameras() -> Iterator[dict[str, DriveCamera]]:
    """Give the three cameras by name; close them at the end."""
    with ExitStack() as cleanup:
        cameras = {}
        for name in SOURCES:
            cameras[name] = DriveCamera(name)
            cleanup.callback(cameras[name].close)
        yield cameras


def play(cameras: dict[str, DriveCamera], rate: float, now: Callable[[], Time]) -> Iterator[tuple[int, Time]]:
    """Publish every frame, `rate` per second; yield its number and stamp just before.

    Like a robot's cameras, it does not wait for the nodes, which drop the frames that they cannot
    keep up with.
    """
    started = time.monotonic()
    for number, shots in enumerate(zip(*(camera.recording for camera in cameras.values()))):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        stamp = now()
        yield number, stamp
        for camera, shot in zip(cameras.values(), shots):
            camera.publish(shot, stamp)
