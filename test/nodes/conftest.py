# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the tests that need ROS 2; without it they are left out."""

from __future__ import annotations

import importlib.util
import os

import pytest

if importlib.util.find_spec('rclpy') is None:
    collect_ignore_glob = ['test_*.py']
else:
    # Before rclpy starts: the traffic stays on this machine, apart from that of other runs.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))


def pytest_report_header() -> str:
    """Say which ROS 2 the tests run on."""
    if importlib.util.find_spec('rclpy') is None:
        return 'ROS 2: not found, the tests in test/nodes are left out'
    return f'ROS 2: {os.environ.get("ROS_DISTRO", "of unknown distribution")}'


@pytest.fixture(scope='session')
def ros_context():
    """An rclpy context for all nodes of the run."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope='session')
def tiny_weights(tmp_path_factory, tiny_model):
    """A weights file of a real network, small, with random image weights."""
    from lseg_ros.model import save

    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save(tiny_model, path)
    return str(path)


@pytest.fixture
def start(ros_context, tiny_weights):
    """A function that starts a node, unconfigured, and returns the client that talks to it."""
    from harness import Harness

    harnesses = []

    def start_node(**parameters):
        # torch: it is ready at once, and which backend runs makes no difference to a node.
        defaults = {'model': tiny_weights, 'backend': 'torch'}
        harnesses.append(Harness(ros_context, **defaults | parameters))
        return harnesses[-1].client

    yield start_node
    for harness in harnesses:
        harness.close()


@pytest.fixture
def active(start):
    """The client of a node that segments, listening to its label images and tables."""
    from harness import output

    def start_active_node(**parameters):
        client = start(**parameters)
        cameras = parameters.get('cameras', [''])
        for camera in filter(None, cameras):
            client.add_camera(camera)
        for camera in cameras:
            client.listen(output('label_image', camera))
            client.listen_to_tables(camera)
        assert client.configure()
        assert client.activate()
        for camera in cameras:
            client.segment(camera=camera)
        return client

    return start_active_node
