# SPDX-License-Identifier: Apache-2.0
"""What the Nav2 semantic segmentation costmap layer requires of a publisher.

The layer looks masks up in the label table without a check, so a mask that arrives before the first
table crashes the costmap server. It joins mask and confidence by stamp. It keeps raw ids in its
tiles for seconds, so an id that changes its meaning turns floor into obstacle.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from harness import PICTURE, ids_of, output, running, stamp_of
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2, PointField
from test_points import DepthCamera
from vision_msgs.msg import LabelInfo

from lseg_ros.labels import LabelRegistry

LABEL_FILES = Path(__file__).parents[2] / 'config' / 'labels'
LABELS_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Queue depth of the layer's sensor subscriptions, by branch of its repository.
SENSOR_DEPTH = {'humble': 50, 'main': 10}
TIMEOUT_S = 30.0


class CostmapLayer(Node):
    """Subscribes as the layer does and records messages in order of arrival."""

    def __init__(self, context, namespace, branch, camera=''):
        super().__init__(f'costmap_{branch}', context=context, namespace=namespace)
        self.arrivals = []
        self._changed = threading.Condition()
        sensor_qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=SENSOR_DEPTH[branch],
            reliability=ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.VOLATILE,
        )
        for topic, kind, qos in (
            ('label_image', Image, sensor_qos),
            ('confidence', Image, sensor_qos),
            ('points', PointCloud2, sensor_qos),
            ('label_info', LabelInfo, LABELS_QOS),
        ):
            self.create_subscription(kind, output(topic, camera), self._keeper(topic), qos)

    def _keeper(self, topic):
        def keep(message):
            with self._changed:
                self.arrivals.append((topic, message))
                self._changed.notify_all()

        return keep

    def of(self, topic):
        return [message for name, message in list(self.arrivals) if name == topic]

    def has(self, topic, seconds=TIMEOUT_S):
        with self._changed:
            return self._changed.wait_for(lambda: self.of(topic), seconds)

    def synchronised(self, topic='confidence'):
        """Return the pairs of mask and `topic` that an exact-time synchroniser would form."""
        others = {stamp_of(message): message for message in self.of(topic)}
        return [(mask, others[stamp_of(mask)]) for mask in self.of('label_image') if stamp_of(mask) in others]


@pytest.fixture
def layers(ros_context):
    """A function that starts the layer of every branch next to a client's node."""
    with ExitStack() as stack:

        def start_layers(client, camera=''):
            return [
                stack.enter_context(running(CostmapLayer(ros_context, client.namespace, branch, camera)))
                for branch in SENSOR_DEPTH
            ]

        yield start_layers


def feed(client, layers, camera=''):
    """Send pictures with uneven stamps until every layer has joined a mask and a confidence."""
    stamps = itertools.count(1_234_567_891, 33_333_337)
    client.poll(
        lambda: (
            client.send(stamp_ns=next(stamps), camera=camera)
            and client.soon(lambda: all(layer.synchronised() for layer in layers), 0.2)
        ),
        'masks at every layer',
    )


@pytest.mark.slow
@pytest.mark.parametrize('start_of_the_layer', ['before configure', 'between', 'after activate'])
def test_table_comes_before_the_first_mask_in_every_start_order(start, layers, start_of_the_layer):
    client = start(labels=['floor', 'chair=chair|armchair'])
    started = layers(client) if start_of_the_layer == 'before configure' else []
    assert client.configure()
    started = started or (layers(client) if start_of_the_layer == 'between' else [])
    assert client.activate()
    started = started or layers(client)
    for layer in started:
        assert layer.has('label_info')
    feed(client, started)
    for layer in started:
        topics = [topic for topic, _ in layer.arrivals]
        assert topics[0] == 'label_info'
        for info in layer.of('label_info'):  # sent again when the other layer joined
            names = {entry.class_id: entry.class_name for entry in info.class_map}
            assert names == {0: 'other', 1: 'floor', 2: 'chair'}


@pytest.mark.slow
def test_layer_that_joins_after_changes_gets_only_the_current_table(active, layers):
    client = active(labels=['floor'])
    for labels in (['wall'], ['chair', 'person']):
        assert client.set_labels(labels).success
    client.segment_frame()
    for layer in layers(client):
        assert layer.has('label_info')
        assert not layer.has('label_image', seconds=0.2)
        for info in layer.of('label_info'):
            names = {entry.class_id: entry.class_name for entry in info.class_map}
            # The layer's tiles still hold the ids of floor and wall.
            assert names == {0: 'other', 1: 'floor', 2: 'wall', 3: 'chair', 4: 'person'}


def test_mask_and_confidence_share_stamps_and_have_one_byte_per_pixel(active, layers):
    client = active(labels=['floor', 'door'])
    started = layers(client)
    feed(client, started)
    for layer in started:
        for mask, confidence in layer.synchronised():
            assert mask.header == confidence.header
            assert stamp_of(mask) % 33_333_337 == 1_234_567_891 % 33_333_337
            for image in (mask, confidence):
                assert (image.encoding, image.step) == ('mono8', image.width)
                assert len(image.data) == PICTURE.shape[0] * PICTURE.shape[1]


@pytest.mark.slow
def test_cloud_shares_the_stamp_of_its_mask_and_has_one_point_per_pixel(active, layers):
    client = active(labels=['floor', 'door'], output_size=[32, 24])
    camera = DepthCamera(client)
    started = layers(client)
    client.poll(
        lambda: camera.shoot() and client.soon(lambda: all(layer.synchronised('points') for layer in started), 0.2),
        'clouds',
    )
    for layer in started:
        mask, cloud = layer.synchronised('points')[0]
        assert mask.header == cloud.header
        assert (mask.width, mask.height) == (cloud.width, cloud.height) == (32, 24)
        assert [(field.name, field.datatype) for field in cloud.fields[:3]] == [
            (axis, PointField.FLOAT32) for axis in 'xyz'
        ]


def newest_name(layer):
    return layer.of('label_info')[-1].class_map[-1].class_name


@pytest.mark.slow
def test_each_camera_has_its_own_table(active, layers):
    client = active(labels=['floor'], cameras=['front', 'left'])
    for camera in ('front', 'left'):
        started = layers(client, camera)
        for layer in started:
            assert layer.has('label_info')
        feed(client, started, camera)
        assert client.set_labels([f'{camera} thing'], 'add').success
        client.poll(lambda: all(newest_name(layer) == f'{camera} thing' for layer in started), 'the changed table')


@pytest.mark.slow
def test_no_id_is_reused_while_another_is_free(active):
    client = active(labels=['floor'])
    names = itertools.count()
    for mode in ('replace', 'add', 'remove', 'replace', 'add', 'replace'):
        labels = (
            [f'thing {next(names)}' for _ in range(40)]
            if mode != 'remove'
            else [f'thing {number}' for number in range(30)]
        )
        assert client.set_labels(labels, mode).success
    client.wait_for(lambda: len(client.received['lseg/label_set']) >= 7, 'every table')
    meanings = {}
    for info in client.received['lseg/label_info']:
        for entry in info.class_map:
            assert entry.class_id < 255  # fits a byte and is not the id for unlabelled
            assert meanings.setdefault(entry.class_id, entry.class_name) == entry.class_name
    assert len(meanings) == 2 + next(names)


@pytest.mark.slow
def test_dropped_name_keeps_its_id_in_the_table(active):
    """The layer costs ids outside the table at 0, so a dropped obstacle would become free."""
    client = active(labels=['floor', 'chair'])
    client.listen('lseg/masks/chair')
    assert client.set_labels(['floor', 'door']).success
    meanings = [(0, 'other'), (1, 'floor'), (2, 'chair'), (3, 'door')]
    client.wait_for(
        lambda: any(
            [(entry.class_id, entry.class_name) for entry in info.class_map] == meanings
            for info in client.received['lseg/label_info']
        ),
        'the table with the dropped name',
    )
    assert 2 not in ids_of(client.segment_frame())
    assert not client.received['lseg/masks/chair']


@pytest.mark.slow
def test_table_is_published_only_on_change(active):
    client = active(labels=['floor=floor|ground', 'door'])
    client.segment_frame()
    sent = len(client.received['lseg/label_info'])
    for _ in range(2):  # periodic messages would have arrived with the diagnostics
        client.wait_for_status(lambda *_: True, 'news')
    assert not client.set_labels(['floor', 'floor']).success
    # New prompts and stamps that jump back leave ids and names unchanged.
    assert client.set_labels(['floor=ground|carpet', 'door']).success
    client.segment_frame(stamp_ns=5)
    # A dropped name keeps its id.
    assert client.set_labels(['floor']).success
    client.wait_for(lambda: len(client.received['lseg/label_set'][-1].classes) == 2, 'the label sets')
    assert len(client.received['lseg/label_info']) == sent
    assert client.set_labels(['wall']).success
    client.wait_for(lambda: len(client.received['lseg/label_info']) == sent + 1, 'the changed table')


@pytest.mark.parametrize('path', sorted(LABEL_FILES.glob('*.yaml')), ids=lambda path: path.stem)
def test_shipped_names_are_strings_in_costmap_parameters(path):
    """A name that YAML parses as a number or a boolean would match no class."""
    labels = LabelRegistry().replace(list(yaml.safe_load(path.read_text())['labels']))
    for name in labels.names:
        assert yaml.safe_load(f'classes: [{name}]') == {'classes': [name]}
