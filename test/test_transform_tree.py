# SPDX-License-Identifier: Apache-2.0
"""Transforms of a recording: chained and interpolated as in tf2, refused where not known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lseg_ros.mapping.transforms import StampedTransform, TransformTree

SECOND = 10**9


def transform(parent, child, seconds, x=0.0, yaw=0.0):
    turn = np.array([0, 0, math.sin(yaw / 2), math.cos(yaw / 2)])
    stamp = None if seconds is None else int(seconds * SECOND)
    return StampedTransform(child, parent, stamp, np.array([x, 0, 0]), turn)


# A robot that drives from x = 1 to 3 m within a second; its camera looks to the left.
ROBOT = (
    transform('map', 'base', 11, x=3.0),
    transform('map', 'base', 10, x=1.0),
    transform('base', 'camera', None, x=0.5, yaw=math.pi / 2),
    transform('odom', 'wheel', 10),
)


@pytest.mark.parametrize('seconds, x', [(10.0, 1.5), (10.25, 2.0), (11.0, 3.5)])
def test_transforms_are_chained_and_interpolated(seconds, x):
    found = TransformTree(ROBOT).at('map', 'camera', int(seconds * SECOND))
    assert np.allclose(found, [[0, -1, 0, x], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    back = TransformTree(ROBOT).at('camera', 'map', int(seconds * SECOND))
    assert np.allclose(back, np.linalg.inv(found))


def test_turns_take_the_shorter_way():
    tree = TransformTree([transform('map', 'base', 0, yaw=math.radians(170)), transform('map', 'base', 1, yaw=-2.9671)])
    assert np.allclose(tree.at('map', 'base', SECOND // 2)[:2, 0], (-1, 0), atol=1e-3)  # not by way of 0


@pytest.mark.parametrize(
    'target, source, seconds, reason',
    [
        ('map', 'camera', 11.5, 'frame base around the time'),
        ('map', 'camera', 9.5, 'frame base around the time'),
        ('map', 'gripper', 10.0, 'leads from frame gripper to map'),
        ('map', 'wheel', 10.0, 'leads from frame wheel to map'),
    ],
)
def test_what_is_not_known_is_refused(target, source, seconds, reason):
    with pytest.raises(ValueError, match=reason):
        TransformTree(ROBOT).at(target, source, int(seconds * SECOND))


def test_only_the_way_between_two_frames_must_be_known():
    tree = TransformTree([*ROBOT, transform('world', 'map', 500)])
    assert tree.at('map', 'base', 10 * SECOND)[0, 3] == 1.0


def test_nothing_is_invented_for_a_long_pause():
    tree = TransformTree([transform('map', 'base', 0), transform('map', 'base', 60, x=5.0)])
    with pytest.raises(ValueError, match='around the time'):
        tree.at('map', 'base', 30 * SECOND)


def test_frame_that_changes_its_parent_is_followed():
    tree = TransformTree(
        [transform('map', 'cart', None), transform('map', 'box', 0, x=1.0), transform('cart', 'box', 2, x=2.0)]
    )
    assert [tree.at('map', 'box', at)[0, 3] for at in (0, SECOND, 2 * SECOND)] == [1.0, 1.0, 2.0]


def test_circle_of_frames_ends():
    tree = TransformTree([transform('a', 'b', None), transform('b', 'a', None)])
    with pytest.raises(ValueError, match='no transform leads'):
        tree.at('map', 'a', 0)
