# SPDX-License-Identifier: Apache-2.0
"""The camera of one robot: sends pictures at a rate and times the label images that come back.

It imports neither PyTorch nor what needs it, so that many can run on one machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from array import array

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image

from lseg_ros.nodes.spinning import spinning

LAST_S = 2.0  # for the last label images to arrive
FIND_S = 120.0  # for the node to be found


class RobotCamera:
    """Publishes one picture again and again, and notes when its label images arrive."""

    def __init__(self, node: Node, name: str, pixels: np.ndarray, transport: str) -> None:
        """Publish on the topics of camera `name` of the node `lseg`, raw or compressed."""
        self._clock = node.get_clock()
        self._message = _message(pixels, transport)
        topic = f'{name}/image' + ('/compressed' if transport == 'compressed' else '')
        self._publisher = node.create_publisher(type(self._message), topic, qos_profile_sensor_data)
        self._sent_s: dict[int, float] = {}
        self.times_ms: list[float] = []
        self._results = node.create_subscription(Image, f'lseg/{name}/label_image', self._receive, 5)

    def wait_for_node(self) -> None:
        """Return once the node is connected both ways; raise TimeoutError if it is not found."""
        end = time.perf_counter() + FIND_S
        while not (self._publisher.get_subscription_count() and self._results.get_publisher_count()):
            if time.perf_counter() > end:
                raise TimeoutError(f'no node was found within {FIND_S:.0f} s')
            time.sleep(0.1)

    @property
    def sent(self) -> int:
        """How many pictures were sent."""
        return len(self._sent_s)

    def send(self) -> None:
        """Send the picture, stamped now."""
        now = self._clock.now()
        self._message.header.stamp = now.to_msg()
        self._sent_s[now.nanoseconds] = time.perf_counter()
        self._publisher.publish(self._message)

    def _receive(self, message: Image) -> None:
        sent_s = self._sent_s.get(Time.from_msg(message.header.stamp).nanoseconds)
        if sent_s is not None:
            self.times_ms.append(1000 * (time.perf_counter() - sent_s))


def main() -> None:
    """Print a line once the node is found; after a line from stdin, send and print the result."""
    args = _parser().parse_args()
    rclpy.init()
    node = rclpy.create_node('robot_camera')
    with spinning(node):
        camera = RobotCamera(node, args.name, _picture(*args.size), args.transport)
        camera.wait_for_node()
        print('ready', flush=True)
        sys.stdin.readline()
        begin = time.perf_counter()
        for number in range(round(args.rate * args.seconds)):
            time.sleep(max(0.0, begin + number / args.rate - time.perf_counter()))
            camera.send()
        time.sleep(LAST_S)
    p50, p95 = np.percentile(camera.times_ms or [np.nan], (50, 95))
    print(json.dumps({'sent': camera.sent, 'received': len(camera.times_ms), 'p50_ms': p50, 'p95_ms': p95}))
    rclpy.try_shutdown()


def _picture(width: int, height: int) -> np.ndarray:
    """Return soft patches of colour, uint8 [height, width, 3]."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _message(pixels: np.ndarray, transport: str) -> Image | CompressedImage:
    if transport == 'raw':
        height, width, _ = pixels.shape
        data = array('B', pixels.tobytes())
        return Image(height=height, width=width, encoding='rgb8', step=3 * width, data=data)
    data = array('B', cv2.imencode('.jpg', pixels[..., ::-1])[1].tobytes())
    return CompressedImage(format='rgb8; jpeg compressed bgr8', data=data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', help='camera name, for example robot1/front')
    parser.add_argument('--rate', type=float, required=True, help='pictures per second')
    parser.add_argument('--seconds', type=float, required=True, help='how long to send')
    parser.add_argument('--transport', choices=('raw', 'compressed'), default='compressed')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480), metavar=('WIDTH', 'HEIGHT'))
    return parser


if __name__ == '__main__':
    main()
