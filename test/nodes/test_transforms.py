# SPDX-License-Identifier: Apache-2.0
"""The calls of tf2_ros that the map node uses, on the real one or on its stand-in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from tf2_ros import Buffer, TransformException

from lseg_ros.mapping.transforms import pose_matrix

SECOND = 10**9


def transform(parent, child, stamp_ns, x=0.0, yaw=0.0):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, Time(nanoseconds=stamp_ns).to_msg()
    message.transform.translation.x = x
    message.transform.rotation.z, message.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return message


@pytest.mark.filterwarnings('error')
def test_of_a_quaternion_only_the_direction_counts():
    message = transform('map', 'base', 0, yaw=math.pi / 2).transform
    turned = pose_matrix(message)
    message.rotation.z, message.rotation.w = 1e200, 1e200
    assert np.allclose(pose_matrix(message), turned, atol=1e-6)
    for length in (0.0, math.inf, math.nan):
        message.rotation.z = message.rotation.w = length
        with pytest.raises(ValueError, match='quaternion is zero'):
            pose_matrix(message)


@pytest.fixture
def buffer():
    """A robot that drives from x = 1 to 3 m within a second; its camera looks to the left."""
    buffer = Buffer()
    buffer.set_transform(transform('map', 'base', 10 * SECOND, x=1.0), 'test')
    buffer.set_transform(transform('map', 'base', 11 * SECOND, x=3.0), 'test')
    buffer.set_transform_static(transform('base', 'camera', 0, x=0.5, yaw=math.pi / 2), 'test')
    buffer.set_transform(transform('odom', 'wheel', 10 * SECOND), 'test')
    return buffer


@pytest.mark.parametrize('seconds, x', [(10.0, 1.5), (10.5, 2.5), (11.0, 3.5)])
def test_transforms_are_chained_and_interpolated(buffer, seconds, x):
    found = buffer.lookup_transform('map', 'camera', Time(nanoseconds=int(seconds * SECOND)))
    expected = [[0, -1, 0, x], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert np.allclose(pose_matrix(found.transform), expected, atol=1e-6)
    assert (found.header.frame_id, found.child_frame_id) == ('map', 'camera')


@pytest.mark.parametrize(
    'target, source, seconds',
    [('map', 'camera', 12.0), ('map', 'camera', 9.0), ('map', 'gripper', 10.0), ('map', 'wheel', 10.0)],
)
def test_what_is_not_known_is_refused(buffer, target, source, seconds):
    with pytest.raises(TransformException):
        buffer.lookup_transform(target, source, Time(nanoseconds=int(seconds * SECOND)))


def test_static_transforms_outlive_clear(buffer):
    buffer.clear()
    buffer.lookup_transform('base', 'camera', Time(nanoseconds=10 * SECOND))
    with pytest.raises(TransformException):
        buffer.lookup_transform('map', 'camera', Time(nanoseconds=10 * SECOND))
