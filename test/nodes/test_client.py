# SPDX-License-Identifier: Apache-2.0
"""The Python client of the segmentation node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import rclpy
from harness import TIMEOUT_S, Client, running
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState

from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.segmentation.segmentation_node import SegmentationNode
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.srv import SetLabels

MORE_THAN_ROS_QUEUES = 15


@pytest.fixture
def caller(ros_context):
    """A spinning node in a namespace of its own."""
    node = rclpy.create_node('caller', context=ros_context, namespace='/elsewhere')
    with running(node):
        yield node


def test_bring_up_makes_the_node_active_from_any_state(start):
    client = start()
    client.bring_up()
    assert client.state() == 'active'
    client.bring_up()
    assert client.change_state(Transition.TRANSITION_DEACTIVATE)
    client.bring_up()
    assert client.state() == 'active'


@pytest.mark.slow
def test_bring_up_raises_if_the_node_cannot_configure(start):
    with pytest.raises(RuntimeError, match='failed to configure'):
        start(model='/nowhere/weights.safetensors').bring_up()


@pytest.mark.slow
def test_node_in_another_namespace_is_reached_by_its_full_name(start, caller):
    namespace = start().namespace
    client = SegmentationClient(caller, f'{namespace}/lseg')
    client.wait_for_node()
    assert client.state() == 'unconfigured'


@pytest.mark.slow
def test_parameters_are_read_and_set(start):
    client = start(labels=['floor'])
    assert client.set_parameter('overlay_alpha', 0.25).successful
    assert client.get_parameter('overlay_alpha') == 0.25
    assert client.get_parameter('labels') == ['floor']
    assert 'overlay_alpha' in client.set_parameter('overlay_alpha', 2.0).reason
    assert client.get_parameter('no_such_parameter') is None


def test_missing_node_is_a_timeout_that_names_the_service(caller):
    client = SegmentationClient(caller, 'nobody', timeout_s=0.3)
    with pytest.raises(TimeoutError, match='no service /elsewhere/nobody/get_state'):
        client.state()


def test_node_that_does_not_respond_is_a_timeout_that_names_the_service(caller, ros_context):
    stuck = rclpy.create_node('stuck', context=ros_context)  # nothing spins it
    stuck.create_service(GetState, '~/get_state', lambda request, response: response)
    client = SegmentationClient(caller, '/stuck', timeout_s=0.5)
    with pytest.raises(TimeoutError, match=r'no response from /stuck/get_state within 0\.5 s'):
        client.state()
    stuck.destroy_node()


@pytest.mark.parametrize('ask', ['set_labels', 'query', 'encode_text'])
def test_what_is_no_text_is_refused_before_it_could_end_the_process(caller, ask):
    with pytest.raises(TypeError, match='True is not a str but bool'):
        getattr(SegmentationClient(caller), ask)([True])


def names_in(answer):
    return {entry.name for entry in answer.label_set.classes}


def test_response_is_received_however_many_others_the_node_sends_before_the_caller_spins(start, ros_context):
    others = start(labels=['floor'])
    late = rclpy.create_node('late', context=ros_context, namespace=others.namespace)
    with ThreadPoolExecutor(1) as thread:
        response = thread.submit(SegmentationClient(late, timeout_s=TIMEOUT_S).set_labels, ['cat'], 'add')
        others.poll(lambda: 'cat' in names_in(others.set_labels(['dog'], 'add')), 'the change by the late caller')
        for _ in range(MORE_THAN_ROS_QUEUES):
            others.set_labels(['dog'], 'add')
        with running(late):
            assert 'cat' in names_in(response.result())


def test_requests_that_wait_for_a_busy_node_are_all_answered(ros_context):
    client = Client(ros_context, '/waiting')
    node = SegmentationNode(context=ros_context, namespace='/waiting', enable_rosout=False)
    service = client.node.create_client(SetLabels, 'lseg/set_labels', qos_profile=SERVICE_QOS)
    with running(client.node):
        client.poll(service.service_is_ready, 'the service')
        requests = (SetLabels.Request(labels=[f'thing {number}'], mode='add') for number in range(MORE_THAN_ROS_QUEUES))
        responses = [service.call_async(request) for request in requests]
        with running(node, node.close):
            client.poll(lambda: all(each.done() for each in responses), 'all responses')
    assert len(names_in(responses[-1].result())) >= MORE_THAN_ROS_QUEUES
