# SPDX-License-Identifier: Apache-2.0
"""Under which labels a map node reads what a segmentation node, which is played here, sends."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from harness import LATCHED, RELIABLE, Client, running
from lifecycle_msgs.msg import Transition
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from test_camera_info import camera_info
from test_fuzz_map import LABELS, SIDE, Surroundings
from test_map_node import points_of
from tf2_ros import StaticTransformBroadcaster

from lseg_ros.labels import LabelRegistry
from lseg_ros.msg import LabelSet
from lseg_ros.nodes import diagnostics
from lseg_ros.nodes.client import MapClient
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.label_messages import label_set_to_message
from lseg_ros.nodes.map.map_node import MapNode
from lseg_ros.srv import SetLabels

FLOOR, DOOR = (LabelRegistry().replace([name]) for name in ('floor', 'door'))  # both have id 1
namespaces = count()


class LabelCamera:
    """Sends label images, in which all pixels have id 1, with what places them."""

    def __init__(self, client, name=''):
        self._frame = f'{name or "camera"}_optical'
        kinds = {'label_image': Image, 'label_set': LabelSet, 'depth': Image, 'camera_info': CameraInfo}
        inputs = {topic: f'{name}/{topic}'.lstrip('/') for topic in kinds}
        for topic in ('label_image', 'label_set'):
            inputs[topic] = f'lseg/{inputs[topic]}'
        self._publishers = {
            topic: client.node.create_publisher(kind, inputs[topic], LATCHED if topic == 'label_set' else RELIABLE)
            for topic, kind in kinds.items()
        }
        self._static = StaticTransformBroadcaster(client.node)
        transform = TransformStamped(header=Header(frame_id='map'), child_frame_id=self._frame)
        transform.transform.rotation.w = 1.0
        self._static.sendTransform(transform)
        client.poll(lambda: all(each.get_subscription_count() for each in self._publishers.values()), 'the map node')

    def announce(self, labels, since_s):
        self._publishers['label_set'].publish(label_set_to_message(labels, since_s * 10**9))

    def send_image(self, stamp_s):
        self._send('label_image', np.ones((SIDE, SIDE), np.uint8), 'mono8', stamp_s)

    def send_depth(self, stamp_s):
        lens = {'fx': 20.0, 'fy': 20.0, 'cx': 12.0, 'cy': 12.0, 'width': SIDE, 'height': SIDE, 'd': [0.0] * 5}
        self._publishers['camera_info'].publish(camera_info(header=self._header(stamp_s), **lens))
        self._send('depth', np.full((SIDE, SIDE), 2000, np.uint16), '16UC1', stamp_s)

    def _send(self, topic, pixels, encoding, stamp_s):
        self._publishers[topic].publish(array_to_image(pixels, encoding, self._header(stamp_s)))

    def _header(self, stamp_s):
        return Header(stamp=Time(seconds=stamp_s).to_msg(), frame_id=self._frame)


@pytest.fixture
def client(ros_context, monkeypatch):
    """A client in whose namespace no other node is."""
    monkeypatch.setattr(diagnostics, 'PERIOD_S', 0.05)
    client = Client(ros_context, f'/labelled_map{next(namespaces)}')
    client.listen('lseg_map/voxels', PointCloud2, LATCHED)
    with running(client.node):
        yield client


@pytest.fixture
def map_node(client, ros_context):
    """A function that starts an active map node."""
    with ExitStack() as stack:

        def start(**parameters):
            parameters = {'publish_rate': 50.0, 'voxel_size': 0.2, 'tf_timeout': 10.0, **parameters}
            node = MapNode(
                context=ros_context,
                namespace=client.namespace,
                enable_rosout=False,
                parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
            )
            stack.enter_context(running(node, node.close))
            assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS

        yield start


def value_of(client, key):
    """Return a number of the last diagnostics of the map."""
    return int(client.statuses(-1)[-1][1].get(key, 0)) if client.received['/diagnostics'] else 0


def wait_for_value(client, key):
    client.wait_for(lambda: value_of(client, key), key)


def labels_in(client):
    """Return the ids of the labels in the last voxels."""
    return {*points_of(client.received['lseg_map/voxels'][-1])['label']} if client.received['lseg_map/voxels'] else {}


def test_label_images_are_read_under_the_table_of_their_own_camera(client, map_node):
    map_node(input='label_image', label_step=1, cameras=['front', 'left'])
    front, left = LabelCamera(client, 'front'), LabelCamera(client, 'left')
    front.announce(FLOOR, 0)
    front.announce(DOOR, 101)  # the change came after the image at 100 s of one, and at 20 s of the other camera
    left.announce(DOOR, 21)
    left.send_image(50)
    left.send_depth(50)
    wait_for_value(client, 'frames integrated')
    client.wait_for(lambda: labels_in(client) == {1}, 'votes for the door')


def test_label_image_is_read_under_its_table_though_others_came_at_once(client, map_node):
    map_node(input='label_image', label_step=1)
    camera = LabelCamera(client)
    for since_s in range(0, 10**5, 10**4):  # faster than the map node takes them
        camera.announce(FLOOR if since_s in (10**4, 9 * 10**4) else DOOR, since_s)
    stamps_s = count(10**4 + 1)

    def is_floor():
        stamp_s = next(stamps_s)
        camera.send_image(stamp_s)
        camera.send_depth(stamp_s)
        return client.soon(lambda: labels_in(client) == {1}, 0.2)

    client.poll(is_floor, 'votes for the floor')


def test_image_that_waits_as_the_segmentation_node_starts_again_is_dropped(client, map_node):
    map_node(input='label_image', label_step=1)
    camera = LabelCamera(client)
    camera.announce(FLOOR, 0)
    camera.send_image(10)
    camera.send_depth(10)
    wait_for_value(client, 'frames integrated')  # so the table has arrived
    camera.send_image(11)
    client.wait_for(lambda: value_of(client, 'images received') == 2, 'the second image')
    camera.announce(DOOR, 0)
    wait_for_value(client, 'dropped: another label_set arrived meanwhile')
    camera.send_depth(11)
    camera.send_image(12)
    camera.send_depth(12)
    client.wait_for(lambda: value_of(client, 'frames integrated') == 2, 'the third image')


class BusySegmentation(Surroundings):
    """Refuses to encode texts while it is busy, except for a lamp, as another model."""

    is_busy = True

    def _encode(self, request, response):
        response = super()._encode(request, response)
        if 'lamp' in request.prompts:
            response.model = 'other-model'
        elif self.is_busy:
            response.success, response.message = False, 'busy'
        return response


def test_announced_labels_are_used_after_own_ones_have_failed(client, map_node):
    map_node(depth_slop=0.1)
    segmentation = BusySegmentation(client)
    segmentation.wait_for_map_node()
    segmentation.map_a_frame()  # with labels that cannot be used yet
    refused = segmentation.call(SetLabels, 'set_labels', labels=['lamp'])
    assert not refused.success and 'other-model' in refused.message
    segmentation.is_busy = False
    client.wait_for(lambda: labels_in(client) == {LABELS.ids[LABELS.names.index('door')]}, 'the announced labels')


def test_labels_are_added_to_those_of_the_segmentation_node_once_they_have_arrived(client, map_node):
    map_node()
    segmentation = Surroundings(client)
    segmentation.wait_for_map_node()
    only_groups = [{'groups': ['traversable=lamp'], 'mode': mode} for mode in ('', 'replace', 'add', 'remove')]
    for change in (*({'labels': ['floor'], 'mode': mode} for mode in ('add', 'remove')), *only_groups):
        refused = segmentation.call(SetLabels, 'set_labels', **change)
        assert not refused.success and 'have not arrived yet' in refused.message
    segmentation.send('lseg/label_set', label_set_to_message(LABELS, 0))
    added = client.poll(
        lambda: (answer := segmentation.call(SetLabels, 'set_labels', labels=['lamp'], mode='add')).success and answer,
        'the labels',
    )
    names = [*LABELS.names, 'lamp']
    assert [entry.name for entry in added.label_set.classes] == names
    refused = segmentation.call(SetLabels, 'set_labels', labels=['no=such=label'])
    assert not refused.success and [entry.name for entry in refused.label_set.classes] == names
    for change in only_groups:  # now of labels of its own
        assert segmentation.call(SetLabels, 'set_labels', **change).success


def test_change_of_groups_only_does_not_keep_a_map_from_following(client, map_node):
    map_node()
    segmentation = Surroundings(client)
    segmentation.wait_for_map_node()
    segmentation.map_a_frame()
    refused = segmentation.call(SetLabels, 'set_labels', groups=['traversable=door'])
    assert (
        not refused.success
        and 'follows the labels of the segmentation node: change the groups there' in refused.message
    )
    segmentation.send('lseg/label_set', label_set_to_message(LabelRegistry().replace(['door', 'rug']), 0))
    client.wait_for(lambda: labels_in(client) == {1}, 'the new id of the door')


def test_floor_that_is_known_by_name_only_is_said_once(client, map_node, capfd):
    def named_floor():
        statuses = client.statuses(-1) if client.received['/diagnostics'] else []
        return statuses and 'voxels' in statuses[-1][1] and statuses[-1][1].get('traversable by name', '')

    map_node()
    segmentation = Surroundings(client)
    segmentation.wait_for_map_node()
    for groups, by_name in (({'traversable': ['rug']}, ''), ({}, 'floor, rug'), ({'traversable': ['floor']}, '')):
        labels = LabelRegistry().replace(['floor', 'rug'], groups)
        segmentation.send('lseg/label_set', label_set_to_message(labels, 0))
        client.wait_for(lambda: named_floor() == by_name, f'{by_name!r} as the floor')
    assert capfd.readouterr().err.count('no label is in the group traversable: the robot may drive on floor, rug') == 1


def test_own_labels_end_with_their_map_and_the_next_one_is_labelled_again(client, map_node):
    def is_announced_door():
        segmentation.send_frame()
        return client.soon(lambda: labels_in(client) == {LABELS.ids[LABELS.names.index('door')]}, 0.1)

    map_node(depth_slop=0.1)
    segmentation = Surroundings(client)
    segmentation.wait_for_map_node()
    client.poll(is_announced_door, 'the announced labels')
    own = segmentation.call(SetLabels, 'set_labels', labels=['lamp', 'rug', 'way=door']).label_set.classes
    client.wait_for(lambda: labels_in(client) == {entry.id for entry in own if entry.name == 'way'}, 'its own labels')
    lifecycle = MapClient(client.node, 'lseg_map')
    assert lifecycle.change_state(Transition.TRANSITION_DEACTIVATE)
    assert lifecycle.change_state(Transition.TRANSITION_CLEANUP)
    lifecycle.bring_up()
    client.poll(is_announced_door, 'the announced labels in the next map')
