# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that need ROS 2; without ROS 2 those tests are not collected."""

from __future__ import annotations

import importlib.util
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

MODEL_SETTINGS = (
    'model',
    'text_model',
    'device',
    'precision',
    'backend',
    'compile',
    'openvino_device',
    'cpu_threads',
    'input_size',
)

if importlib.util.find_spec('rclpy') is None:
    collect_ignore_glob = ['test_*.py']
else:
    # Before rclpy starts: keep the traffic on this machine and apart from other runs.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder as tests that need ROS."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker('ros')


def pytest_report_header() -> str:
    """Say which ROS 2 the tests run on."""
    if importlib.util.find_spec('rclpy') is None:
        return 'ROS 2: not found, so test/nodes is skipped'
    return f'ROS 2: {os.environ.get("ROS_DISTRO", "unknown distribution")}'


@pytest.fixture(scope='session')
def ros_context():
    """The rclpy context that all nodes of the run share."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope='session')
def tiny_weights(weights):
    """The path of a weights file: a real but small network with random image weights."""
    return str(weights)


@pytest.fixture(scope='session')
def opened():
    """The segmenters that `start` has opened, by their settings; a test may clear it."""
    return {}


@pytest.fixture
def start(ros_context, tiny_weights, opened, monkeypatch):
    """A function that starts an unconfigured node and returns its client.

    The tiny network and the shipped one are loaded and warmed up once, which takes longer than
    most tests.
    """
    from harness import segmentation_node

    from lseg_ros.nodes import diagnostics
    from lseg_ros.nodes.segmentation import session

    open_anew = session._open_segmenter

    def open_once(settings):
        key = tuple(getattr(settings, name) for name in MODEL_SETTINGS)
        if settings.model not in (tiny_weights, 'lseg-lite'):
            return open_anew(settings)
        if key not in opened:
            opened[key] = open_anew(settings)
        return opened[key]

    monkeypatch.setattr(session, '_open_segmenter', open_once)
    monkeypatch.setattr(diagnostics, 'PERIOD_S', 0.1)  # tests wait for the next ones
    with ExitStack() as stack:

        def start_node(**parameters):
            # The torch backend loads at once, and the node does not depend on the backend.
            defaults = {'model': tiny_weights, 'backend': 'torch'}
            return stack.enter_context(segmentation_node(ros_context, **defaults | parameters))

        yield start_node


@pytest.fixture
def active(start):
    """A function that starts an active node, whose client keeps label images and tables."""
    from harness import output

    def start_active_node(**parameters):
        client = start(**parameters)
        cameras = parameters.get('cameras', [''])
        for camera in cameras:
            if camera:
                client.add_camera(camera)
            client.listen(output('label_image', camera))
            client.listen_to_tables(camera)
        assert client.configure()
        assert client.activate()
        for camera in cameras:
            client.segment_frame(camera=camera)
        return client

    return start_active_node
