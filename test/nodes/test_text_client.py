# SPDX-License-Identifier: Apache-2.0
"""What the map node does if the segmentation node leaves its questions unanswered."""

from __future__ import annotations

from threading import Event

from harness import LATCHED, TIMEOUT_S, Client, running
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.task import Future

from lseg_ros.labels import LabelRegistry
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.label_messages import label_set_to_message
from lseg_ros.nodes.map import map_labels, text_client
from lseg_ros.nodes.map.map_node import MapNode
from lseg_ros.nodes.map.text_client import TextClient
from lseg_ros.srv import EncodeText, QueryMap


async def never(request, response):
    """Hang, as a node that was stopped in a debugger."""
    await Future()
    return response


async def refusal(texts):
    try:
        await texts.encode(['floor'])
    except ValueError as error:
        return str(error)


def test_a_call_that_is_never_answered_ends_with_the_service_named(ros_context, monkeypatch):
    monkeypatch.setattr(text_client, 'TIMEOUT_S', 0.2)
    client, server = Client(ros_context, '/asker'), Node('mute', context=ros_context)
    server.create_service(EncodeText, '/mute/encode_text', never)
    texts = TextClient(client.node, '/mute')
    with running(server), running(client.node):
        client.poll(lambda: texts.is_ready, 'the service')
        task = client.node.executor.create_task(refusal, texts)
        client.poll(task.done, 'the end of the call')
    assert task.result() == '/mute/encode_text: no answer in 0.2 s'


def test_a_call_that_waits_ends_with_its_map(ros_context):
    asked = Event()

    async def hang(request, response):
        asked.set()
        return await never(request, response)

    client, server = Client(ros_context, '/dropper'), Node('mute', context=ros_context, namespace='/dropper')
    server.create_service(EncodeText, '~/encode_text', hang)
    texts = TextClient(client.node, '/dropper/mute')
    with running(server), running(client.node):
        client.poll(lambda: texts.is_ready, 'the service')
        executor = client.node.executor
        task = executor.create_task(refusal, texts)
        client.poll(asked.is_set, 'the call')
        executor.create_task(texts.destroy)
        client.poll(task.done, 'the end of the call')
    assert task.result() == '/dropper/mute/encode_text: the map was dropped meanwhile'


def test_labels_are_encoded_once_the_segmentation_node_is_no_longer_busy(ros_context, monkeypatch):
    """Until then the map has none; a query says so."""
    monkeypatch.setattr(map_labels, 'RETRY_S', 0.05)
    client = Client(ros_context, '/busy')
    refusals = iter(range(2))

    def encode(request, response):
        # Queries of the test are answered at once; only the labels are refused, and only twice.
        if 'floor' in request.prompts and next(refusals, None) is not None:
            response.message = 'busy'
            return response
        response.success, response.model, response.dim, response.logit_scale = True, 'tiny', 1, 1.0
        response.rows = [1.0] * len(request.prompts)
        return response

    server = Node('lseg', context=ros_context, namespace='/busy')
    server.create_service(EncodeText, '~/encode_text', encode)
    table = server.create_publisher(LabelSetMessage, '~/label_set', LATCHED)
    node = MapNode(context=ros_context, namespace='/busy', enable_rosout=False)
    with running(server), running(client.node), running(node, node.close):
        query = client.node.create_client(QueryMap, 'lseg_map/query_map')
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        client.poll(query.service_is_ready, 'the map node')

        def answer():
            return query.call(QueryMap.Request(prompts=['cat']), TIMEOUT_S).message

        client.poll(lambda: answer() == 'the map has no labels yet to compare with', 'a map without labels')
        table.publish(label_set_to_message(LabelRegistry().replace(['floor']), 0))
        client.poll(lambda: answer() == 'the map is empty', 'a map with labels')
    assert next(refusals, None) is None
