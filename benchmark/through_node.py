# SPDX-License-Identifier: Apache-2.0
"""What the real node takes, in a process of its own: image message to label-image message."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from ament_index_python.packages import get_package_prefix
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.transport import use_profile
from measure import Measurement
from rows import Row
from scenarios import FULL_HD, HD, USUAL_LABELS, VGA, Setting, label_set, picture

TRANSPORT = Path(__file__).parents[1] / 'config' / 'fastdds.xml'
WARM_UP_FRAMES = 5
IDLE_S = 5.0
ANSWER_TIMEOUT_S = 30.0
_TICKS = os.sysconf('SC_CLK_TCK')


class Process:
    """The CPU time and memory of another process, from /proc."""

    def __init__(self, pid: int) -> None:
        """Watch the process `pid`."""
        self._folder = Path('/proc', str(pid))

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its threads so far."""
        fields = (self._folder / 'stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self, field: str) -> float:
        """Return a field of its status in MB: VmRSS is the memory now, VmHWM the most so far."""
        lines = (self._folder / 'status').read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


class Camera(Node):
    """Sends images, and waits for the label image of each."""

    def __init__(self) -> None:
        """Connect to the node `lseg`."""
        super().__init__('benchmark')
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._stamp = None
        self.create_subscription(Image, 'lseg/label_image', self._receive, 5)
        self._change_state = self.create_client(ChangeState, 'lseg/change_state')

    def wait_for_node(self) -> None:
        """Return when the node answers."""
        if not self._change_state.wait_for_service(ANSWER_TIMEOUT_S):
            raise RuntimeError(f'the node did not start within {ANSWER_TIMEOUT_S:.0f} s')

    def change_state(self, transition: int) -> float:
        """Drive the node's lifecycle; return the seconds it took."""
        started = time.perf_counter()
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self._change_state.call_async(request)
        rclpy.spin_until_future_complete(self, answer)
        if not answer.result().success:
            raise RuntimeError(f'the node refused transition {transition}: see its messages')
        return time.perf_counter() - started

    def segment(self, pixels) -> float:
        """Send an image, again if it gets lost; return the milliseconds until its label image."""
        deadline = time.perf_counter() + ANSWER_TIMEOUT_S
        while time.perf_counter() < deadline:
            header = Header(stamp=self.get_clock().now().to_msg(), frame_id='camera')
            message = array_to_image(pixels, 'rgb8', header)
            started = time.perf_counter()
            self._images.publish(message)
            while time.perf_counter() < started + 2.0:
                rclpy.spin_once(self, timeout_sec=0.1)
                if self._stamp == header.stamp:
                    return 1000 * (time.perf_counter() - started)
        raise RuntimeError(f'no label image came within {ANSWER_TIMEOUT_S:.0f} s')

    def _receive(self, message: Image) -> None:
        self._stamp = message.header.stamp


@contextmanager
def running_node(parameters: dict[str, str]) -> Iterator[tuple[Camera, Process]]:
    """Run the segmentation node with `parameters` (as in YAML), and a camera in front of it."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1))
    use_profile(TRANSPORT)
    program = Path(get_package_prefix('lseg_ros'), 'lib/lseg_ros/segmentation_node')
    arguments = [part for item in parameters.items() for part in ('-p', '{}:={}'.format(*item))]
    process = subprocess.Popen([program, '--ros-args', *arguments])
    rclpy.init()
    camera = Camera()
    try:
        yield camera, Process(process.pid)
    finally:
        camera.destroy_node()
        rclpy.try_shutdown()
        process.send_signal(signal.SIGINT)
        process.wait()


def measure_node(setting: Setting, threads: int) -> list[Row]:
    """Measure configuring, idling, and frames of three sizes, each waiting for the last."""
    labels = [label.spec for label in label_set(USUAL_LABELS).classes if label.id]
    parameters = {
        'model': setting.model,
        'device': str(setting.device),
        'labels': str(labels),
        'precision': setting.precision,
        'cpu_threads': str(threads),
    }
    rows = []
    with running_node(parameters) as (camera, process):
        camera.wait_for_node()
        before = process.cpu_s()
        seconds = camera.change_state(Transition.TRANSITION_CONFIGURE)
        rows.append(
            setting.row('d configure', VGA).filled(
                Measurement((1000 * seconds,), process.cpu_s() - before, process.memory_mb('VmHWM'))
            )
        )
        camera.change_state(Transition.TRANSITION_ACTIVATE)
        rows.append(_idle(setting, process))
        for size in (VGA, HD, FULL_HD):
            rows.append(_frames(setting, size, camera, process))
    return rows


def _idle(setting: Setting, process: Process) -> Row:
    before = process.cpu_s()
    time.sleep(IDLE_S)
    share = (process.cpu_s() - before) / IDLE_S
    taken = Measurement((1000.0,), share, process.memory_mb('VmRSS'))
    return setting.row('d idle for a second, no camera', VGA).filled(taken)


def _frames(setting: Setting, size: tuple[int, int], camera: Camera, process: Process) -> Row:
    image = picture(size)
    for _ in range(WARM_UP_FRAMES):
        camera.segment(image)
    before = process.cpu_s()
    times = tuple(camera.segment(image) for _ in range(setting.repeats))
    taken = Measurement(
        times, (process.cpu_s() - before) / setting.repeats, process.memory_mb('VmHWM')
    )
    return setting.row('d message to message', size).filled(taken)
