# SPDX-License-Identifier: Apache-2.0
"""A camera that sends pictures of one colour, 30 a second, in sizes that change in turn.

The header determines the picture: the stamp its colour, the frame_id its camera and size.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from itertools import cycle

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

RATE_HZ = 30.0
IMAGES_PER_SIZE = 100
# Small enough for the shared memory of Fast DDS, and multiples of the stride of the oracle.
SIZES = ((240, 176), (208, 120), (160, 120))
BLANK = array('B', bytes(3))


def red_at(stamp_ns: int) -> int:
    """Return the red of the picture with this stamp, 0 to 255."""
    return zlib.crc32(str(stamp_ns).encode()) % 256


class CameraDriver(Node):
    """Publishes on `image`, best effort, and prints how many images it has sent."""

    def __init__(self, name: str) -> None:
        """Start sending."""
        super().__init__(f'{name}_driver', namespace=name)
        self._camera = name
        self._sizes = cycle(SIZES)
        self._size = next(self._sizes)
        self._sent = 0
        self._publisher = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self.create_timer(1 / RATE_HZ, self._send)
        self.create_timer(1.0, lambda: print(f'{{"images sent": {self._sent}}}', flush=True))

    def _send(self) -> None:
        if self._sent % IMAGES_PER_SIZE == IMAGES_PER_SIZE - 1:
            self._size = next(self._sizes)
        width, height = self._size
        stamp = self.get_clock().now()
        image = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        image.header.stamp = stamp.to_msg()
        image.header.frame_id = f'{self._camera} {width}x{height}'
        image.data = array('B', bytes([red_at(stamp.nanoseconds), 0, 0])) * (width * height)
        self._publisher.publish(image)
        self._sent += 1


if __name__ == '__main__':
    rclpy.init()
    rclpy.spin(CameraDriver(sys.argv[1]))
