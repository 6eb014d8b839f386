# SPDX-License-Identifier: Apache-2.0
"""The dashboard's side of ROS, without its page: what it subscribes to, and when."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import rclpy
from harness import BARE, repeating, running

from lseg_ros.nodes.dashboard import feeds, robot
from lseg_ros.nodes.dashboard.robot import Robot

TOPICS = ('overlay', 'label_image', 'confidence', 'label_set')


@pytest.fixture
def watch(ros_context, monkeypatch):
    """A function that makes a dashboard's client of the node of a client."""
    monkeypatch.setattr(feeds, 'LINGER_S', 1.0)
    monkeypatch.setattr(robot, 'LINGER_S', 1.0)
    monkeypatch.setattr(robot, 'LOOK_S', 0.1)
    with ExitStack() as stack:

        def watch_node(client):
            node = rclpy.create_node('watcher', context=ros_context, namespace=client.namespace, **BARE)
            stack.enter_context(running(node))
            page = Robot(node, 'lseg')
            stack.callback(page.close)
            return page

        yield watch_node


@pytest.fixture
def watcher(active, watch):
    """A dashboard's client of an active node with two cameras, and the client of the test."""
    client = active(cameras=['front', 'left'])
    return watch(client), client


def subscribers(client, camera):
    return {topic: client.node.count_subscribers(f'lseg/{camera}/{topic}') for topic in TOPICS}


def test_a_camera_is_subscribed_to_only_while_somebody_watches_it(watcher):
    page, client = watcher
    alone = subscribers(client, 'left')  # the client of the test
    with repeating(lambda: (client.send(camera='left'), page.watch('left')), 0.1):
        client.poll(lambda: page.state.info.cameras == ('front', 'left'), 'the names of the cameras')
        left = client.poll(lambda: page.camera('left'), 'the camera')
        client.poll(lambda: left.picture and left.reading and page.state.labels, 'a picture, a reading and labels')
        assert subscribers(client, 'left') == {topic: count + 1 for topic, count in alone.items()}
    assert left.picture.pixels.shape == (48, 64, 3)
    assert set(np.unique(left.reading.ids)) <= set(page.state.labels.ids)
    assert page.camera('front').picture is None
    client.poll(lambda: subscribers(client, 'left') == alone, 'no subscription of the dashboard')


def test_actions_on_a_node_that_does_not_run_say_so(watcher):
    page, _ = watcher
    with pytest.raises(TimeoutError, match='looking for the node'):
        page.set_labels(['floor'], 'add')


@pytest.mark.parametrize(
    ('cameras', 'reason'),
    [
        (['front camera'], "'front camera' is not valid"),
        (['a', 'a'], "'a' is listed twice"),
        (['x' * 240], 'is too long'),
    ],
)
def test_cameras_that_cannot_be_used_are_said_and_can_be_mended(start, watch, cameras, reason):
    client = start(cameras=cameras)
    page = watch(client)
    with repeating(lambda: page.watch(''), 0.1):
        client.poll(lambda: page.state.info.state == 'unconfigured', 'the state')
        client.poll(lambda: reason in page.state.info.problem, 'what is wrong')
        assert client.set_parameter('cameras', ['left']).successful
        client.poll(lambda: page.camera('left') and not page.state.info.problem, 'the camera')
