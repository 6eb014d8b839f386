# SPDX-License-Identifier: Apache-2.0
"""The shipped Fast DDS profile loses no image; the node says what another middleware needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from lseg_ros.nodes import transport
from lseg_ros.nodes.transport import PROFILE_VARIABLE

PROFILE = Path(__file__).parents[2] / 'config/fastdds.xml'
CAMERA = """
import array, time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
publisher = rclpy.create_node('camera').create_publisher(Image, 'image', qos_profile_sensor_data)
image = Image(width=1920, height=1080, step=5760, encoding='rgb8',
              data=array.array('B', bytes(1920 * 1080 * 3)))
while True:
    image.header.stamp.sec += 1
    publisher.publish(image)
    time.sleep(0.05)
"""
# Images may get lost until discovery is complete; afterwards none may.
LISTENER = """
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
rclpy.init()
node, numbers = rclpy.create_node('listener'), []
qos = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
node.create_subscription(Image, 'image', lambda image: numbers.append(image.header.stamp.sec), qos)
while len(numbers) < 20:
    rclpy.spin_once(node)
assert numbers == list(range(numbers[0], numbers[0] + 20)), numbers
"""


@pytest.mark.slow
@pytest.mark.skipif(get_rmw_implementation_identifier() != 'rmw_fastrtps_cpp', reason='a profile for Fast DDS')
def test_no_image_is_lost_between_two_processes():
    environment = os.environ | {PROFILE_VARIABLE: str(PROFILE)}
    camera = subprocess.Popen([sys.executable, '-c', CAMERA], env=environment)
    try:
        subprocess.run([sys.executable, '-c', LISTENER], env=environment, timeout=60, check=True)
    finally:
        camera.kill()
        camera.wait()


@pytest.mark.parametrize(
    'middleware, variable, words',
    [
        ('rmw_fastrtps_cpp', PROFILE_VARIABLE, 'config/fastdds.xml'),
        ('rmw_fastrtps_dynamic_cpp', PROFILE_VARIABLE, 'config/fastdds.xml'),
        ('rmw_cyclonedds_cpp', 'CYCLONEDDS_URI', 'receive buffers'),
        ('rmw_zenoh_cpp', 'ZENOH_CONFIG_OVERRIDE', 'congestion control'),
        ('rmw_zenoh_cpp', 'ZENOH_SESSION_CONFIG_URI', 'congestion control'),
    ],
)
def test_node_says_what_its_middleware_lacks_until_it_is_set(monkeypatch, middleware, variable, words):
    monkeypatch.setattr(transport, 'get_rmw_implementation_identifier', lambda: middleware)
    for name in (PROFILE_VARIABLE, 'CYCLONEDDS_URI', 'ZENOH_CONFIG_OVERRIDE', 'ZENOH_SESSION_CONFIG_URI'):
        monkeypatch.delenv(name, raising=False)
    assert words in transport.loss_hint() and 'docs/troubleshooting.md' in transport.loss_hint()
    monkeypatch.setenv(variable, 'set')
    assert transport.loss_hint() == ''
    assert words in transport.loss_hint(by_others=True)


def test_node_gives_no_advice_about_a_middleware_it_does_not_know(monkeypatch):
    monkeypatch.setattr(transport, 'get_rmw_implementation_identifier', lambda: 'rmw_connextdds')
    assert transport.loss_hint() == ''
