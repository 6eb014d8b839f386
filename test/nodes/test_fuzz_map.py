# SPDX-License-Identifier: Apache-2.0
"""Whatever a map node is sent, it maps it or counts why not, and stays able to map and answer."""

from __future__ import annotations

import os
import zlib
from contextlib import ExitStack
from itertools import count
from unittest import mock

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from harness import LATCHED, TIMEOUT_S, Client, running
from hypothesis import given
from hypothesis import strategies as st
from message_strategies import (
    FLOATS,
    GROUPS,
    MODES,
    PROMPTS,
    UINT32,
    camera_infos,
    depth_images,
    embeddings,
    label_lists,
    label_sets,
    mostly,
    transforms,
    up_to,
)  # fmt: skip
from rcl_interfaces.msg import Log
from rclpy.logging import LoggingSeverity
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from test_camera_info import camera_info
from test_map_node import points_of
from tf2_msgs.msg import TFMessage

from lseg_ros.labels import LabelRegistry
from lseg_ros.msg import Embedding, LabelSet
from lseg_ros.nodes import diagnostics
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.label_messages import label_set_to_message
from lseg_ros.nodes.map.map_node import MapNode
from lseg_ros.srv import EncodeText, QueryMap, SetLabels

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]

MODEL, DIMENSIONS, SIDE = 'tiny-4', 4, 24
LABELS = LabelRegistry().replace(['floor', 'door'])
TOPICS = {
    'lseg/embedding': (Embedding, QoSProfile(depth=50)),
    'lseg/label_set': (LabelSet, LATCHED),
    'camera_info': (CameraInfo, QoSProfile(depth=50)),
    'depth': (Image, QoSProfile(depth=50)),
    '/tf_static': (TFMessage, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)),
}
MESSAGES = {
    'lseg/embedding': embeddings(MODEL, DIMENSIONS, SIDE),
    'lseg/label_set': label_sets(),
    'camera_info': camera_infos(st.just(SIDE)),
    'depth': depth_images(st.just(SIDE)),
    '/tf_static': transforms().map(lambda transform: TFMessage(transforms=[transform])),
}


def vector_of(text: str) -> np.ndarray:
    """Return a unit vector for a text, float32 [DIMENSIONS]."""
    vector = np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Surroundings:
    """What a map node depends on: a camera, transforms, and a segmentation node that is played."""

    def __init__(self, client: Client) -> None:
        self.client = client
        node = client.node
        self._publishers = {topic: node.create_publisher(kind, topic, qos) for topic, (kind, qos) in TOPICS.items()}
        self._stamp = count(10)
        node.create_service(EncodeText, 'lseg/encode_text', self._encode)
        client.listen('/rosout', Log, QoSProfile(depth=1000))
        client.listen('lseg_map/voxels', PointCloud2, LATCHED)

    def wait_for_map_node(self) -> None:
        publishers = self._publishers.values()
        self.client.poll(lambda: all(each.get_subscription_count() for each in publishers), 'the map node')

    def send(self, topic, message) -> None:
        self._publishers[topic].publish(message)

    def send_frame(self) -> None:
        """Send a sound frame and the labels."""
        header = Header(stamp=Time(seconds=next(self._stamp)).to_msg(), frame_id='camera')
        transform = TransformStamped(header=Header(frame_id='map'), child_frame_id='camera')
        depth = np.full((SIDE, SIDE), 2000, np.uint16)
        info = camera_info(header=header, fx=20.0, fy=20.0, cx=12.0, cy=12.0, width=SIDE, height=SIDE, d=[0.0] * 5)
        vectors = np.tile(vector_of('door'), (6, 6, 1)).astype('<f2')
        embedding = Embedding(
            header=header, model=MODEL, image_height=SIDE, image_width=SIDE, height=6, width=6, dim=DIMENSIONS,
            first_x=2.0, first_y=2.0, step_x=4.0, step_y=4.0, colors=bytes(108), data=vectors.tobytes(),
        )  # fmt: skip
        self.send('/tf_static', TFMessage(transforms=[transform]))
        self.send('lseg/label_set', label_set_to_message(LABELS, 0))
        self.send('camera_info', info)
        self.send('depth', array_to_image(depth, '16UC1', header))
        self.send('lseg/embedding', embedding)

    def values(self) -> dict[str, int]:
        """Return the numbers of the latest diagnostics of the map."""
        self.client.wait_for(lambda: self.client.received['/diagnostics'], 'diagnostics')
        values = self.client.statuses(-1)[-1][1]
        return {key: int(value) for key, value in values.items() if value.isdecimal()}

    def map_a_frame(self) -> dict[str, int]:
        """Send sound frames until one is in the map and all others are accounted for."""
        before = self.values()['frames integrated']

        def is_done():
            self.send_frame()
            return self.client.soon(lambda: self.values()['frames integrated'] > before, 0.1)

        self.client.poll(is_done, 'a frame in the map')
        self.client.wait_for(lambda: self._unaccounted() == 0, 'all frames to be accounted for')
        return self.values()

    def _unaccounted(self) -> int:
        values = self.values()
        dropped = sum(number for key, number in values.items() if key.startswith('dropped: '))
        return values['images received'] - values['frames integrated'] - dropped

    def call(self, kind, name, **fields):
        """Call a service of the map node; return its response, which is right or says why not."""
        service = self.client.node.create_client(kind, f'lseg_map/{name}')
        assert service.wait_for_service(TIMEOUT_S)
        answer = service.call(kind.Request(**fields), TIMEOUT_S)
        self.client.node.destroy_client(service)
        assert answer.success != bool(answer.message) and '\n' not in answer.message, answer.message
        return answer

    def check(self) -> None:
        """Check that nothing failed inside of the node, and that its map is sound and answers."""
        values = self.map_a_frame()
        assert 'dropped: failed' not in values
        logged = [log.msg for log in self.client.received['/rosout'] if log.level >= LoggingSeverity.ERROR]
        assert not [text for text in logged if '/tf' not in text]
        points = points_of(self.client.wait_for(lambda: self.client.received['lseg_map/voxels'], 'voxels')[-1])
        assert len(points) and all(np.isfinite(points[name]).all() for name in ('x', 'y', 'z', 'confidence'))
        question = {'prompts': ['door'], 'top_k': 3, 'minimum_score': 0.01}
        self.client.poll(lambda: self.call(QueryMap, 'query_map', **question).success, 'an answer of the map')

    def _encode(self, request, response):
        response.success, response.model, response.dim, response.logit_scale = True, MODEL, DIMENSIONS, 15.0
        response.rows = [float(value) for prompt in request.prompts for value in vector_of(prompt)]
        return response


@pytest.fixture(scope='module')
def surroundings(ros_context):
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(diagnostics, 'PERIOD_S', 0.05))
        client = Client(ros_context, f'/fuzzed_map_{os.getpid()}')
        stack.enter_context(running(client.node))
        played = Surroundings(client)
        settings = {'tf_timeout': 0.2, 'publish_rate': 50.0, 'max_voxels': 5000, 'depth_slop': 0.1}
        overrides = [Parameter(name, value=value) for name, value in settings.items()]
        node = MapNode(context=ros_context, namespace=client.namespace, parameter_overrides=overrides)
        stack.enter_context(running(node, node.close))
        node.trigger_configure()
        node.trigger_activate()
        played.wait_for_map_node()
        played.map_a_frame()
        yield played


@given(sent=up_to(24, st.one_of(st.tuples(st.just(topic), MESSAGES[topic]) for topic in (*MESSAGES, 'lseg/embedding'))))
def test_every_frame_is_mapped_or_counted_and_the_map_stays_sound(surroundings, tally, sent):
    surroundings.client.forget()
    for topic, message in sent:
        surroundings.send(topic, message)
        tally.update({'messages': 1, f'map: {topic.rsplit("/", 1)[-1]}': 1})
    surroundings.check()


QUERIES = st.fixed_dictionaries(
    {
        'prompts': PROMPTS,
        'top_k': mostly(st.integers(0, 5), UINT32),
        'minimum_score': mostly(st.floats(0, 1, width=32), FLOATS),
    }
)
CHANGES = st.fixed_dictionaries({'labels': label_lists(), 'mode': MODES, 'groups': mostly(st.just([]), GROUPS)})


@given(asked=up_to(12, st.tuples(st.just('query_map'), QUERIES) | st.tuples(st.just('set_labels'), CHANGES)))
def test_every_request_to_the_map_is_done_or_refused_with_a_reason(surroundings, tally, asked):
    surroundings.client.forget()
    for name, fields in asked:
        kind = {'query_map': QueryMap, 'set_labels': SetLabels}[name]
        surroundings.call(kind, name, **fields)
        tally.update({'messages': 1, f'requests: {name} of the map': 1})
    surroundings.check()
