# SPDX-License-Identifier: Apache-2.0
"""The dashboard's side of ROS, without its page: what it subscribes to, and when."""

from __future__ import annotations

import itertools
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import rclpy
from harness import BARE, LATCHED, repeating, running
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lseg_ros.core.cameras import Camera
from lseg_ros.dashboard.label_changes import LabelEdit
from lseg_ros.labels import LabelRegistry
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.dashboard import feeds, recorder, robot
from lseg_ros.nodes.dashboard.camera_feeds import CameraFeeds, OverlayPicture
from lseg_ros.nodes.dashboard.robot import Robot
from lseg_ros.nodes.label_messages import label_set_to_message

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
    client.poll(lambda: left.picture is None and left.reading is None, 'nothing that could pass for the present')


def test_a_change_that_is_not_known_yet_is_not_lost(watcher):
    page, client = watcher
    alone = subscribers(client, 'front')
    with repeating(lambda: page.watch('front'), 0.1):
        client.poll(lambda: page.state.info.state == 'active' and page.state.labels, 'the labels')
        assert page.set_labels(['lamp'], 'add').success
    client.poll(lambda: subscribers(client, 'front') == alone, 'a dashboard that hears of no change')
    others = client.set_labels(['tent'], 'add').label_set.classes
    for refused in (page.undo_labels(), page.move_label('lamp', -1)):
        assert not refused.success and 'somebody else has changed the labels' in refused.message
    assert client.set_labels(['tent'], 'add').label_set.classes == others
    with repeating(lambda: page.watch('front'), 0.1):
        client.poll(lambda: 'tent' in page.state.labels.names, 'the change of somebody else')
    assert page.move_label('lamp', -1).success and page.undo_labels().success


def test_a_closed_dashboard_looks_no_longer(ros_context, monkeypatch):
    monkeypatch.setattr(robot, 'LOOK_S', 0.01)
    monkeypatch.setattr(robot, 'PATIENCE_S', 0.2)
    node = rclpy.create_node('closed', context=ros_context, namespace='/closed', **BARE)
    page = Robot(node, 'lseg')
    page.watch('')
    wait_until(lambda: 'is not running' in page.state.info.problem, lambda: page.watch(''))
    page.close()
    node.destroy_node()
    assert 'dashboard observer' not in [thread.name for thread in threading.enumerate()]


class FakeNode:
    """What a segmentation node would publish, and the dashboard's side of these topics."""

    def __init__(self, node, since_ns):
        self.feeds = CameraFeeds(node, 'lseg', Camera(''), lambda: None)
        node.create_timer(0.05, lambda: (self.feeds.want(), self.feeds.tend()))
        kinds = {'overlay': Image, 'label_image': Image, 'confidence': Image}
        self._publishers = {name: node.create_publisher(kind, f'lseg/{name}', 5) for name, kind in kinds.items()}
        self._table = node.create_publisher(LabelSet, 'lseg/label_set', LATCHED)
        self.announce('floor', since_ns)

    def announce(self, name, since_ns):
        self._table.publish(label_set_to_message(LabelRegistry().replace([name]), since_ns))

    def publish_nonsense(self):
        """Publish images without pixels, and a table without classes."""
        for publisher in self._publishers.values():
            publisher.publish(Image(height=2, width=3, step=9, encoding='rgb8'))
        self._table.publish(LabelSet())

    def publish(self, stamp_ns, *topics):
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg())
        for topic in topics:
            pixels = np.zeros((2, 3, 3) if topic == 'overlay' else (2, 3), np.uint8)
            self._publishers[topic].publish(array_to_image(pixels, 'rgb8' if pixels.ndim == 3 else 'mono8', header))


@pytest.fixture
def fake(ros_context, monkeypatch, request):
    monkeypatch.setattr(recorder, 'RECORD_S', 0.2)
    node = rclpy.create_node('fake', context=ros_context, namespace='/fake', **BARE)
    with running(node):
        yield FakeNode(node, getattr(request, 'param', 0))


def wait_until(condition, act):
    """Repeat `act` until the condition holds."""
    with repeating(act, 0.05):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_pictures_of_a_camera_without_stamps_are_told_apart(fake):
    seen = set()
    wait_until(
        lambda: fake.feeds.picture and len(seen.add(fake.feeds.picture.number) or seen) > 2,
        lambda: fake.publish(0, 'overlay'),
    )
    assert fake.feeds.picture_at(0) is None  # which of them is not known


def test_messages_that_cannot_be_used_are_said_and_left_out(fake, capfd):
    log = []  # a line may come in two parts, and comes only once

    def have_been_said():
        log.append(capfd.readouterr().err)
        return len(set(re.findall(r'(\S+) not used: ', ''.join(log)))) >= 3

    wait_until(have_been_said, fake.publish_nonsense)
    wait_until(lambda: fake.feeds.picture, lambda: fake.publish(1, 'overlay'))


@pytest.mark.parametrize('fake', [100], indirect=True)
def test_an_image_older_than_the_known_tables_is_left_out(fake):
    wait_until(lambda: fake.feeds.reading, lambda: [fake.publish(ns, 'label_image', 'confidence') for ns in (99, 101)])
    assert fake.feeds.reading.stamp_ns == 101
    fake.publish(99, 'label_image', 'confidence')
    wait_until(lambda: fake.feeds.picture_at(7), lambda: fake.publish(7, 'overlay'))
    assert fake.feeds.reading.stamp_ns == 101


def test_an_image_is_read_under_its_table_though_others_came_at_once(fake):
    fake.feeds.want()
    wait_until(lambda: fake.feeds.reading, lambda: fake.publish(1, 'label_image', 'confidence'))
    for since_ns in range(10, 100, 10):  # faster than the page takes them
        fake.announce('door' if since_ns == 10 else 'sofa', since_ns)
    wait_until(
        lambda: fake.feeds.reading.labels.names == ('other', 'door'),
        lambda: fake.publish(15, 'label_image', 'confidence'),
    )


def test_a_record_has_an_overlay_of_its_own_moment_only(fake):
    wait_until(lambda: fake.feeds.reading, lambda: fake.publish(1, 'label_image', 'confidence'))
    wait_until(lambda: fake.feeds.picture_at(2), lambda: fake.publish(2, 'overlay'))
    record = fake.feeds.record()
    assert record.reading.stamp_ns == 1 and record.overlay is None
    assert 'no overlay of this moment' in record.missing


@pytest.fixture
def eager_threads():
    """Threads that interrupt each other as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_an_edit_keeps_what_others_have_changed_meanwhile(watcher):
    page, client = watcher

    def members():
        labels = page.state.labels
        return {group: {labels.by_id(each).name for each in ids} for group, ids in labels.groups.items()}

    with repeating(lambda: page.watch('front'), 0.1):
        client.poll(lambda: page.state.info.cameras == ('front', 'left') and page.state.labels, 'the labels')
        assert client.set_labels(['floor', 'dog'], groups=['traversable=floor|dog', 'soft=']).success
        client.poll(lambda: members() == {'traversable': {'floor', 'dog'}}, 'the groups')
        opened = page.state.labels.in_order[-1]
        assert client.set_labels([], groups=['traversable=floor', 'soft=floor']).success
        client.poll(lambda: members() == {'traversable': {'floor'}, 'soft': {'floor'}}, 'the change of another client')
        assert page.edit_label(LabelEdit.of(opened, 'dog=hound', ['traversable', 'soft'])).success
        assert members() == {'traversable': {'floor'}, 'soft': {'floor', 'dog'}}
        assert page.state.labels.in_order[-1].prompts == ('hound',)
        assert client.set_labels(['floor']).success
        client.poll(lambda: page.state.labels.names == ('other', 'floor'), 'no dog')
        refused = page.edit_label(LabelEdit.of(opened, 'dog=hound', []))
        assert not refused.success and "'dog' is not in the set any more" in refused.message


def test_orders_of_others_are_seen_at_once_and_changes_are_undone_one_by_one(watcher, monkeypatch):
    page, client = watcher

    def order():
        return ' '.join(label.name for label in page.state.labels.in_order)

    with repeating(lambda: (page.watch('front'), page.watch('left')), 0.1):
        client.poll(lambda: page.state.info.cameras == ('front', 'left') and page.state.labels, 'the labels')
        assert page.set_labels(['floor', 'wall', 'dog'], 'replace').success
        monkeypatch.setattr(robot, 'LOOK_S', 600.0)
        assert client.set_parameter('labels', ['dog', 'wall', 'floor']).successful  # without other
        client.poll(lambda: order() == 'other dog wall floor', 'the order of the parameter')
        for name in ('cat', 'sofa', 'lamp'):
            assert page.set_labels([name], 'add').success
        assert client.set_labels(['lamp', 'sofa', 'cat', 'dog', 'wall', 'floor']).success
        client.poll(lambda: order() == 'other lamp sofa cat dog wall floor', 'the order of the service')
        steps = [page.undo_labels().success and order() for _ in range(5)]
    first = 'other dog wall floor'
    assert steps == [
        f'{first} cat sofa lamp', f'{first} cat sofa', f'{first} cat', first, 'other floor wall dog'
    ]  # fmt: skip


def test_records_at_once_do_not_lose_each_other(ros_context, eager_threads):
    node = rclpy.create_node('records', context=ros_context, **BARE)
    taker = recorder.Recorder(node, Camera(''))
    stamps = itertools.count()

    def take_a_frame():
        stamp = next(stamps)
        for part in ('overlay', 'reading'):
            taker.take(part, stamp, OverlayPicture(stamp, np.zeros((1, 1, 3), np.uint8)))
        taker.take('image', stamp, (lambda *_: np.zeros((1, 1, 3), np.uint8), None))

    with repeating(take_a_frame, 0.01), ThreadPoolExecutor(32) as pool:
        records = [job.result() for job in [pool.submit(taker.record) for _ in range(256)]]
    node.destroy_node()
    assert len(records) == 256


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
