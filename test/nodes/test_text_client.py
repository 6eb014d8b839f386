# SPDX-License-Identifier: Apache-2.0
"""What the map node does if the segmentation node leaves its questions unanswered."""

from __future__ import annotations

from harness import Client, running
from rclpy.node import Node
from rclpy.task import Future

from lseg_ros.nodes.map import text_client
from lseg_ros.nodes.map.text_client import TextClient
from lseg_ros.srv import EncodeText


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
