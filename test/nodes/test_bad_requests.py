# SPDX-License-Identifier: Apache-2.0
"""No request to the services that rclpy gives every node ends it, nor does a message."""

from __future__ import annotations

import threading

import pytest
import rclpy
from harness import running
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from std_msgs.msg import String
from std_srvs.srv import SetBool
from type_description_interfaces.srv import GetTypeDescription

from lseg_ros.nodes.camera.camera_node import CameraNode
from lseg_ros.nodes.spinning import EnduringExecutor

UNKNOWN_TYPE = ParameterValue(type=77)
RATE = Parameter(name='max_rate', value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=5.0))


def ask(node, kind, name, request):
    """Return the response of a service."""
    client = node.create_client(kind, name)
    assert client.wait_for_service(30), name
    answered = threading.Event()
    future = client.call_async(request)
    future.add_done_callback(lambda _: answered.set())
    assert answered.wait(30), f'no response from {name}'
    return future.result()


@pytest.mark.parametrize('name', ['max_rate', 'nobody_declared_this', ''])
def test_parameter_of_an_unknown_type_is_refused_and_the_others_are_set(start, name):
    client = start(labels=['floor'])
    bad = Parameter(name=name, value=UNKNOWN_TYPE)
    request = SetParameters.Request(parameters=[bad, RATE])
    refused, accepted = ask(client.node, SetParameters, 'lseg/set_parameters', request).results
    assert not refused.successful and '77' in refused.reason
    assert accepted.successful
    assert client.get_parameter('max_rate') == 5.0


def test_parameters_set_atomically_are_refused_together(start):
    client = start(labels=['floor'])
    request = SetParametersAtomically.Request(parameters=[RATE, Parameter(name='max_rate', value=UNKNOWN_TYPE)])
    result = ask(client.node, SetParametersAtomically, 'lseg/set_parameters_atomically', request).result
    assert not result.successful and '77' in result.reason
    assert client.get_parameter('max_rate') == 0.0


@pytest.mark.parametrize('transition', [0, Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CALLBACK_ERROR, 255])
def test_transition_that_the_state_does_not_have_is_refused(start, transition):
    client = start(labels=['floor'])
    assert not client.change_state(transition)
    assert client.state() == 'unconfigured'


@pytest.mark.slow
def test_transition_requested_twice_is_refused_the_second_time(active):
    client = active(labels=['floor'])
    assert not client.activate()
    assert not client.configure()
    assert client.state() == 'active'
    client.segment_frame()


def test_every_other_service_of_rclpy_answers_odd_requests(start):
    node = start(labels=['floor']).node
    label = ChangeState.Request(transition=Transition(id=1, label='fly'))
    assert not ask(node, ChangeState, 'lseg/change_state', label).success
    for kind, name in (
        (GetParameters, 'get_parameters'),
        (GetParameterTypes, 'get_parameter_types'),
        (DescribeParameters, 'describe_parameters'),
    ):
        ask(node, kind, f'lseg/{name}', kind.Request(names=['', '..', 'nobody_declared_this']))
    for depth in (0, 2**64 - 1):
        ask(node, ListParameters, 'lseg/list_parameters', ListParameters.Request(prefixes=['', '.'], depth=depth))
    request = GetTypeDescription.Request(type_name='no/such/Type', type_hash='RIHS99_0')
    assert not ask(node, GetTypeDescription, 'lseg/get_type_description', request).successful


def test_camera_node_refuses_a_parameter_of_an_unknown_type(ros_context):
    asking = rclpy.create_node('asking', context=ros_context)
    with running(asking), running(CameraNode(context=ros_context, namespace='/refusing')):
        request = SetParameters.Request(parameters=[Parameter(name='loop', value=UNKNOWN_TYPE)])
        (result,) = ask(asking, SetParameters, '/refusing/camera/set_parameters', request).results
    assert not result.successful


def test_exception_in_a_callback_is_logged_and_the_next_message_is_received(ros_context, capfd):
    node = rclpy.create_node('enduring', context=ros_context, namespace='/enduring')
    heard = threading.Event()

    def hear(message):
        if message.data == 'bad':
            raise OSError('bad message')
        heard.set()

    def serve(request, response):
        raise OSError('bad request')

    node.create_subscription(String, 'words', hear, 10)
    node.create_service(SetBool, 'switch', serve)
    publisher = node.create_publisher(String, 'words', 10)
    client = node.create_client(SetBool, 'switch')
    with running(node):
        assert client.wait_for_service(30)
        client.call_async(SetBool.Request())
        publisher.publish(String(data='bad'))
        while not heard.wait(0.1):
            publisher.publish(String(data='good'))
    errors = capfd.readouterr().err
    assert '/enduring/words failed: OSError: bad message' in errors
    assert 'switch failed: OSError: bad request' in errors


def test_exception_of_a_timer_is_raised(ros_context):
    node = rclpy.create_node('failing', context=ros_context)
    executor = EnduringExecutor(context=ros_context)
    executor.add_node(node)
    node.create_timer(0.01, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        executor.spin()
    executor.shutdown()
    node.destroy_node()
