# SPDX-License-Identifier: Apache-2.0
"""The segmentation node in a process of its own, and a camera in front of it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.conversions import array_to_image, stamp_ns
from lseg_ros.nodes.spinning import spinning
from lseg_ros.nodes.transport import use_profile

TRANSPORT = Path(__file__).parents[1] / 'config' / 'fastdds.xml'
FRAME_TIMEOUT_S = 30.0
RESEND_S = 2.0  # an image without a label image by then was lost
_TICKS = os.sysconf('SC_CLK_TCK')


class Process:
    """CPU time and memory of another process, from /proc."""

    def __init__(self, pid: int) -> None:
        """Watch the process `pid`."""
        self._folder = Path('/proc', str(pid))

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far by all its threads."""
        fields = (self._folder / 'stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self, field: str) -> float:
        """Return a memory field of its status in MB, such as VmRSS (now) or VmHWM (peak)."""
        lines = (self._folder / 'status').read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


class Camera:
    """Sends images and measures how long each takes to come back, by the same stamp."""

    def __init__(self, node: Node, image: str = 'image', answer: str = 'lseg/label_image') -> None:
        """Publish on the topic `image` and subscribe to `answer`.

        `node` spins in another thread.
        """
        self._clock = node.get_clock()
        self._publisher = node.create_publisher(Image, image, qos_profile_sensor_data)
        self._sent_s: dict[int, float] = {}
        self._arrival = threading.Event()
        self.times_ms: list[float] = []  # of all images that came back
        node.create_subscription(Image, answer, self._receive, qos_profile_sensor_data)

    def send(self, pixels: np.ndarray) -> None:
        """Send an image, and return at once."""
        now = self._clock.now()
        message = array_to_image(pixels, 'rgb8', Header(stamp=now.to_msg(), frame_id='camera'))
        self._sent_s[now.nanoseconds] = time.perf_counter()
        self._publisher.publish(message)

    def segment(self, pixels: np.ndarray) -> float:
        """Send an image, again if it gets lost; return the milliseconds until it comes back."""
        deadline = time.perf_counter() + FRAME_TIMEOUT_S
        while time.perf_counter() < deadline:
            self._arrival.clear()
            self.send(pixels)
            if self._arrival.wait(RESEND_S):
                return self.times_ms[-1]
        raise RuntimeError(f'no answer within {FRAME_TIMEOUT_S:.0f} s')

    def forget(self) -> None:
        """Forget all images so far; those under way no longer count."""
        self._sent_s.clear()
        self.times_ms.clear()

    def _receive(self, message: Image) -> None:
        sent_s = self._sent_s.pop(stamp_ns(message.header), None)
        if sent_s is not None:
            self.times_ms.append(1000 * (time.perf_counter() - sent_s))
            self._arrival.set()


@contextmanager
def running_node(parameters: Mapping[str, str]) -> Iterator[tuple[SegmentationClient, Node, Process]]:
    """Run an unconfigured segmentation node `lseg` with `parameters`, as in YAML.

    Yield a client, the ROS node it uses, which spins in a thread of its own, and the process.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1))
    use_profile(TRANSPORT)
    program = Path(get_package_prefix('lseg_ros'), 'lib/lseg_ros/segmentation_node')
    arguments = [part for item in parameters.items() for part in ('-p', '{}:={}'.format(*item))]
    process = subprocess.Popen([program, '--ros-args', *arguments])
    rclpy.init()
    node = rclpy.create_node('benchmark')
    try:
        with spinning(node):
            client = SegmentationClient(node)
            client.wait_for_node()
            yield client, node, Process(process.pid)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
        process.send_signal(signal.SIGINT)
        process.wait()
