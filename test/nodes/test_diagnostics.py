# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics of every node say about its surroundings."""

from __future__ import annotations

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from harness import BARE, running
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMessage


def test_node_of_the_same_name_is_said_for_as_long_as_it_is_there(start, ros_context):
    client = start()
    twin = rclpy.create_node('lseg', context=ros_context, namespace=client.namespace, **BARE)
    with running(twin):
        status, _ = client.wait_for_status(lambda status, _: 'two nodes' in status.message, 'word of the twin')
        assert status.level == DiagnosticStatus.WARN
        assert f'silent: unconfigured; two nodes are called {client.namespace}/lseg' in status.message
    status, _ = client.wait_for_status(lambda status, _: 'two nodes' not in status.message, 'no twin')
    assert status.level == DiagnosticStatus.OK


def test_simulated_clock_is_missed_until_it_begins(start):
    client = start(use_sim_time=True)
    status, _ = client.wait_for_status(lambda status, _: '/clock' in status.message, 'word of the clock')
    assert status.level == DiagnosticStatus.WARN
    simulation = client.node.create_publisher(ClockMessage, '/clock', 1)
    client.poll(simulation.get_subscription_count, 'the node to want the time')
    simulation.publish(ClockMessage(clock=Clock(clock_type=ClockType.STEADY_TIME).now().to_msg()))
    client.wait_for_status(lambda status, _: '/clock' not in status.message, 'a clock')
