# SPDX-License-Identifier: Apache-2.0
"""Several cameras on one node: each has its own topics and tables, and none waits for another."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from harness import PICTURE, ids_of, output, repeating, stamp_of
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lseg_ros.core.segmenter import Segmenter
from lseg_ros.nodes.conversions import array_to_image

IMAGE = 'sensor_msgs/msg/Image'
PAIR = {'cameras': ['front', 'left'], 'labels': ['floor', 'door']}


@contextmanager
def shooting(client, camera, period_s, picture=PICTURE):
    """Let a camera send pictures during the block; yield the growing list of their stamps."""
    stamps = []
    with repeating(lambda: stamps.append(client.send(picture, camera=camera)), period_s):
        yield stamps


def test_no_topic_remains_if_the_topics_of_one_camera_cannot_be_created(start):
    client = start(labels=['floor'], cameras=['front', 'x' * 300])
    assert not client.configure()
    assert client.set_parameter('cameras', ['rear']).successful
    assert client.configure()
    client.poll(lambda: client.node.count_publishers('lseg/rear/label_set') == 1, 'the topics of the good camera')
    topics = ('label_image', 'confidence', 'overlay', 'camera_info', 'points', 'label_info', 'label_set')
    assert not [topic for topic in topics if client.node.count_publishers(f'lseg/front/{topic}')]


@pytest.mark.slow
def test_no_mask_remains_if_one_camera_refuses_the_new_labels(start):
    client = start(labels=['floor'], cameras=['front', 'x' * 170])
    assert client.configure()
    answer = client.set_labels(['cat', 'y' * 64])  # a topic of more than 247 characters
    assert not answer.success and answer.message
    assert [entry.name for entry in answer.label_set.classes] == ['other', 'floor']
    client.poll(lambda: client.node.count_publishers('lseg/front/masks/floor') == 1, 'the mask in force')
    client.poll(lambda: not client.node.count_publishers('lseg/front/masks/cat'), 'the refused mask to go')
    assert client.set_labels(['cat']).success
    client.poll(lambda: client.node.count_publishers('lseg/front/masks/cat') == 1, 'the mask of a second try')


def test_each_camera_has_its_own_topics(active):
    client = active(**PAIR)
    namespace = client.namespace
    node = ('lseg', namespace)
    published = dict(client.node.get_publisher_names_and_types_by_node(*node))
    for camera in ('front', 'left'):
        for topic, kind in {
            'label_image': IMAGE,
            'confidence': IMAGE,
            'overlay': IMAGE,
            'masks/floor': IMAGE,
            'label_info': 'vision_msgs/msg/LabelInfo',
            'label_set': 'lseg_ros/msg/LabelSet',
        }.items():
            assert published[f'{namespace}/lseg/{camera}/{topic}'] == [kind]
    assert f'{namespace}/lseg/label_image' not in published
    subscribed = dict(client.node.get_subscriber_names_and_types_by_node(*node))
    assert {f'{namespace}/front/image', f'{namespace}/left/image'} <= set(subscribed)
    assert f'{namespace}/image' not in subscribed


def test_camera_names_may_have_several_words(active):
    names = ['robot1/front', 'robot2/front']
    client = active(labels=['floor'], cameras=names)
    for name in names:
        label_image = client.segment_frame(camera=name)
        assert label_image.header.frame_id == f'{name}_optical'
        client.poll(lambda: client.node.count_publishers(f'lseg/{name}/masks/floor') == 1, 'the mask')
        client.poll(lambda: client.node.count_subscribers(f'{name}/image') == 1, 'the input')
        client.poll(lambda: client.reported('frames published', lambda n: int(n) > 0, f'camera {name}'), 'counters')
        _, values = client.wait_for_status(lambda *_: True, 'the drops and delays of each robot', f'camera {name}')
        assert {'images dropped', 'latency p50 (ms)', 'latency p95 (ms)'} <= values.keys()


@pytest.mark.parametrize('name', ['robot1/', '/robot1', 'robot1//front', 'robot1/2nd', 'robot1/a__b', 'robot1/masks'])
def test_camera_names_that_no_topic_can_have_are_refused(name, start, capfd):
    assert not start(cameras=[name]).configure()
    assert repr(name) in capfd.readouterr().err


@pytest.mark.parametrize(
    ('names', 'reason'), [(['front camera'], "'front camera' is not valid"), (['front', 'front'], 'listed twice')]
)
def test_camera_names_are_checked_when_they_are_set(start, names, reason):
    client = start()
    refused = client.set_parameter('cameras', names)
    assert not refused.successful and reason in refused.reason
    assert client.set_parameter('cameras', ['front']).successful


@pytest.mark.slow
def test_cameras_of_different_rates_and_sizes_are_served_under_their_own_headers(active):
    client = active(**PAIR)
    small = np.ascontiguousarray(PICTURE[:30, :50])
    with shooting(client, 'front', 0.01) as front, shooting(client, 'left', 0.2, small) as left:
        client.wait_for(lambda: len(client.received['lseg/left/label_image']) > 5, 'slow frames')
        client.wait_for(lambda: len(client.received['lseg/front/label_image']) > 10, 'fast frames')
    first = min(front[0], left[0])  # earlier ones are of `active`
    for camera, stamps, size in (('front', front, PICTURE.shape[:2]), ('left', left, (30, 50))):
        for message in (each for each in client.received[output('label_image', camera)] if stamp_of(each) >= first):
            assert stamp_of(message) in stamps
            assert message.header.frame_id == f'{camera}_optical'
            assert (message.height, message.width) == size
    assert len(client.received['lseg/front/label_image']) > len(client.received['lseg/left/label_image'])


@pytest.mark.slow
def test_silent_camera_is_named_and_does_not_hold_up_the_other(active):
    client = active(image_timeout=0.5, **PAIR)
    with shooting(client, 'front', 0.02):
        client.wait_for(lambda: len(client.received['lseg/front/label_image']) > 5, 'frames')
        status, _ = client.wait_for_status(
            lambda status, _: status.level == b'\x01', 'the silent camera', 'camera left'
        )
        assert f'{client.namespace}/left/image' in status.message
        status, values = client.wait_for_status(lambda status, _: status.level == b'\x00', 'the other', 'camera front')
        assert (status.message, values['images bad']) == ('segmenting', '0')
        assert float(values['latency p50 (ms)']) != 0.0
        status, values = client.wait_for_status(lambda status, _: status.level == b'\x01', 'the node')
    assert status.message.startswith('left: silent')
    assert 'images received' not in values


@pytest.mark.slow
def test_label_change_gives_each_camera_a_table_stamped_by_its_own_clock(active):
    client = active(**PAIR)
    for camera, stamp_ns in (('front', 9 * 10**12), ('left', 7 * 10**9)):
        client.segment_frame(stamp_ns=stamp_ns, camera=camera)
    answer = client.set_labels(['cat', 'dog'])
    assert stamp_of(answer.label_set) == 9 * 10**12 + 1
    for camera, since_ns in (('front', 9 * 10**12 + 1), ('left', 7 * 10**9 + 1)):
        topic = output('label_set', camera)
        client.wait_for(lambda: len(client.received[topic]) == 2, 'the new table')
        assert client.received[topic][-1].classes == answer.label_set.classes
        assert stamp_of(client.received[topic][-1]) == since_ns
        label_image = client.segment_frame(stamp_ns=since_ns + 5, camera=camera)
        assert set(np.unique(ids_of(label_image))) <= {0, 3, 4}
        client.assert_ids_are_in_their_tables(camera)


@pytest.mark.slow
def test_bad_images_of_one_camera_do_not_affect_the_other(active):
    client = active(**PAIR)
    good = array_to_image(PICTURE, 'rgb8', Header())
    bad = Image(height=good.height, width=good.width, step=good.step, data=good.data, encoding='klingon8')

    def is_reported():
        client.send_message(bad, 'front')
        client.segment_frame(camera='left')
        return client.reported('last problem', lambda text: 'klingon8' in text, 'camera front')

    client.poll(is_reported, 'the reason in the diagnostics')
    _, values = client.wait_for_status(lambda *_: True, 'counters', 'camera left')
    assert (values['images bad'], values['last problem']) == ('0', '')


@pytest.mark.slow
def test_frame_that_the_network_fails_on_does_not_take_others_with_it(active, monkeypatch):
    client = active(**PAIR)
    segment = Segmenter.segment
    poison = np.full((16, 16, 3), 13, np.uint8)

    def segment_or_fail(self, images, *labels, **settings):
        if any(image.shape == poison.shape for image in images):
            raise MemoryError('no room')
        return segment(self, images, *labels, **settings)

    monkeypatch.setattr(Segmenter, 'segment', segment_or_fail)
    with shooting(client, 'front', 0.02, poison), shooting(client, 'left', 0.02) as good:
        _, values = client.wait_for_status(
            lambda _, values: int(values['frames failed']) >= 5, 'failures', 'camera front'
        )
        client.wait_for(
            lambda: len(set(good) & set(map(stamp_of, client.received['lseg/left/label_image']))) >= 5,
            'the other camera',
        )
    assert 'no room' in values['last problem']
    _, values = client.wait_for_status(lambda *_: True, 'the other camera', 'camera left')
    assert (values['frames failed'], values['last problem']) == ('0', '')


@pytest.mark.slow
@pytest.mark.parametrize('cameras', [['front', 'left'], ['']])
def test_max_rate_limits_every_camera_and_releases_a_recent_image(active, cameras):
    client = active(labels=['floor'], cameras=cameras)
    assert client.set_parameter('max_rate', 0.001).successful
    for camera in cameras:
        part = f'camera {camera}' if camera else 'segmentation'
        with shooting(client, camera, 0.02) as held:
            client.wait_for_status(lambda _, values: int(values['images dropped']) >= 3, 'dropped images', part)
        label_images = client.received[output('label_image', camera)]
        assert set(held).isdisjoint(map(stamp_of, label_images))
        assert client.set_parameter('max_rate', 0.0).successful
        (released,) = client.wait_for(lambda: set(held) & set(map(stamp_of, label_images)), 'the image in the slot')
        assert released not in held[:3]
        assert client.set_parameter('max_rate', 0.001).successful
