# SPDX-License-Identifier: Apache-2.0
"""Replays the cameras of a bag, faster or slower than they were recorded."""
from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tqdm import tqdm

from lseg_ros.media.bags import COMPRESSED_IMAGE, BagError, BagReader
from lseg_ros.nodes.cameras import Camera, parse_cameras

CLOCK_PERIOD_S = 0.01
_LISTENER_PERIOD_S = 0.05
_FLUSH = Duration(seconds=2)
_QOS = QoSProfile(depth=10)  # reliable: fits subscribers of either kind


@dataclass(frozen=True)
class BagTopics:
    """Topics of one camera in the bag; empty: found by their types and names."""

    image: str = ''
    depth: str = ''
    camera_info: str = ''


ONE_CAMERA = MappingProxyType({'': BagTopics()})


class BagPlayer(Node):
    """Publishes `image` (or `image/compressed`), `depth` and `camera_info` as they were recorded.

    A camera with a name has them below it: `front/image`. Messages go out byte for byte, so their
    stamps are those of the recording.
    """

    def __init__(self, bag: BagReader, cameras: Mapping[str, BagTopics] = ONE_CAMERA, *,
                 rate: float = 1.0, clock: bool = False, loop: bool = False,
                 **node_arguments) -> None:
        """Choose the topics of each camera in an open bag; `rate` is relative to the recording.

        `clock` publishes the time of the recording on /clock; `loop` starts again at the end.
        Raises BagError when a topic is not there, ValueError for a rate that is not positive and
        for a name that cannot be a camera's.
        """
        if not rate > 0:
            raise ValueError(f'rate must be above 0, not {rate}')
        chosen = {camera: _choose(bag, camera, cameras[camera.name])
                  for camera in parse_cameras(list(cameras))}
        super().__init__('bag_player', **node_arguments)
        self._bag = bag
        self._rate = rate
        self._loop = loop
        self._images: list[Publisher] = []
        self._outputs: dict[str, Publisher] = {}
        for camera, topics in chosen.items():
            self._open_outputs(camera, topics)
        self._clock_output = self.create_publisher(Clock, '/clock', _QOS) if clock else None
        self._stopped = threading.Event()

    def play(self) -> None:
        """Wait for a subscriber of every image, then publish until the bag ends or `stop`.

        Raises BagError where the bag is damaged.
        """
        self._wait_for_listeners()
        self._play_once()
        while self._loop and self._is_playing():
            self._play_once()
        if self._is_playing():
            for publisher in self._outputs.values():
                publisher.wait_for_all_acked(_FLUSH)

    def stop(self) -> None:
        """Let `play` return; any thread may call this."""
        self._stopped.set()

    def _is_playing(self) -> bool:
        return self.context.ok() and not self._stopped.is_set()

    def _open_outputs(self, camera: Camera, topics: BagTopics) -> None:
        if self._bag.types[topics.image] == COMPRESSED_IMAGE:
            image = self._open(topics.image, CompressedImage, camera.input('image/compressed'))
        else:
            image = self._open(topics.image, Image, camera.input('image'))
        self._images.append(image)
        if topics.depth:
            self._open(topics.depth, Image, camera.input('depth'))
        if topics.camera_info:
            self._open(topics.camera_info, CameraInfo, camera.input('camera_info'))

    def _open(self, topic: str, kind: type, output: str) -> Publisher:
        if topic in self._outputs:
            raise BagError(f'{topic} is asked for twice: each camera needs topics of its own')
        self._outputs[topic] = self.create_publisher(kind, output, _QOS)
        return self._outputs[topic]

    def _wait_for_listeners(self) -> None:
        for image in self._images:
            if not image.get_subscription_count():
                self.get_logger().info(f'waiting for a subscriber of {image.topic_name}')
            while self._is_playing() and not image.get_subscription_count():
                self._stopped.wait(_LISTENER_PERIOD_S)

    def _play_once(self) -> None:
        topics = list(self._outputs)
        started, first_ns = time.monotonic(), None
        for message in tqdm(self._bag.messages(topics), total=self._bag.count(topics),
                            unit='message', disable=None):
            first_ns = message.recorded_ns if first_ns is None else first_ns
            self._wait_for_turn(message.recorded_ns, first_ns, started)
            if not self._is_playing():
                return
            self._outputs[message.topic].publish(message.data)

    def _wait_for_turn(self, recorded_ns: int, first_ns: int, started: float) -> None:
        """Return when it is time for a message; until then let the clock run."""
        while self._is_playing():
            played_ns = int((time.monotonic() - started) * self._rate * 1e9)
            if self._clock_output is not None:
                now = Time(nanoseconds=min(first_ns + played_ns, recorded_ns))
                self._clock_output.publish(Clock(clock=now.to_msg()))
            remaining = (recorded_ns - first_ns - played_ns) / 1e9 / self._rate
            if remaining <= 0:
                return
            self._stopped.wait(min(remaining, CLOCK_PERIOD_S))


def _choose(bag: BagReader, camera: Camera, asked: BagTopics) -> BagTopics:
    """Return the topics of a camera; depth and CameraInfo are empty when the bag has none."""
    image = bag.image_topic(asked.image)
    # Among several cameras the depth of one lies beside its image: /front/image, /front/depth.
    under = '/'.join(image.split('/')[:2]) + '/' if camera.name else '/'
    return BagTopics(image, bag.depth_topic(asked.depth, under) or '',
                     bag.camera_info_topic(image, asked.camera_info) or '')


def play(path: Path, cameras: Mapping[str, BagTopics], *, rate: float, clock: bool, loop: bool,
         ros_arguments: Sequence[str] = ()) -> None:
    """Replay a bag in a node of its own, until its end or Ctrl-C.

    `ros_arguments` are what stands behind ``--ros-args``.  Raises BagError or ValueError with the
    reason when it cannot be replayed.
    """
    if path.suffix == '.bag':
        raise BagError(f'{path} is a ROS 1 bag: convert it first, with rosbags-convert')
    rclpy.init(args=['lseg', '--ros-args', *ros_arguments])
    try:
        with BagReader(path) as bag:
            BagPlayer(bag, cameras, rate=rate, clock=clock, loop=loop).play()
    except BagError as error:
        raise BagError(f'{path}: {error}') from error
    finally:
        rclpy.try_shutdown()
