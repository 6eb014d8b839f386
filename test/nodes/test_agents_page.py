# SPDX-License-Identifier: Apache-2.0
"""The requests on the page for LLM agents, sent to real nodes."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
from harness import TIMEOUT_S, running

from lseg_ros.nodes.map.map_node import MapNode

PAGE = (Path(__file__).parents[2] / 'docs' / 'agents.md').read_text()
CALLS = {call['service_name']: call for call in map(json.loads, re.findall(r'```json\n(.+?)```', PAGE, re.DOTALL))}


@pytest.fixture
def call(active, ros_context):
    """A function that makes a call of the page to nodes in a namespace of their own."""
    client = active(labels=['floor', 'door'])
    map_node = MapNode(context=ros_context, namespace=client.namespace, enable_rosout=False)

    def send(name):
        package, kind, service_type = CALLS[name]['service_type'].split('/')
        service_class = getattr(import_module(f'{package}.{kind}'), service_type)
        service = client.node.create_client(service_class, f'{client.namespace}{name}')
        assert service.wait_for_service(TIMEOUT_S)
        return service.call(service_class.Request(**CALLS[name]['request']), TIMEOUT_S)

    with running(map_node, map_node.close):
        yield send


def test_every_service_of_the_page_has_an_example():
    assert set(re.findall(r'^\| `(/\S+)` \|', PAGE, re.MULTILINE)) == set(CALLS)


@pytest.mark.slow
def test_requests_of_the_page_are_answered_as_it_says(call):
    found = call('/lseg/query')
    assert found.success, found.message
    assert len(found.peak_relevance) == len(found.peak_u) == len(found.peak_v) == len(found.peak_point) == 2
    changed = call('/lseg/set_labels')
    assert changed.success, changed.message
    names = [each.name for each in changed.label_set.classes]
    assert names == ['other', 'floor', 'door', 'wall', 'person']
    asked = call('/lseg_map/query_map')
    assert not asked.success and asked.message  # there is no map yet, which it says
