# SPDX-License-Identifier: Apache-2.0
"""``lseg call`` beside real nodes: what it prints, changes and returns."""

from __future__ import annotations

import json
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import rclpy
from harness import BARE, running
from lifecycle_msgs.srv import GetState
from rclpy.parameter import Parameter

from lseg_ros import cli
from lseg_ros.nodes.call import discovery
from lseg_ros.nodes.map.map_node import MapNode
from lseg_ros.srv import SetLabels


@pytest.fixture
def call(capsys):
    """A function that runs ``lseg call`` and returns its status, output and errors."""

    def run(*arguments):
        try:
            status = cli.main(['call', *arguments])
        except SystemExit as error:  # of argparse
            status = error.code
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def call_node(call, start):
    """The same for an inactive node of its own; options of the node may be given."""

    def begin(**parameters):
        client = start(labels=['floor', 'door'], **parameters)
        assert client.configure()
        return lambda *arguments: call(*arguments, '--node', f'{client.namespace}/lseg')

    return begin


def test_labels_are_set_added_removed_and_shown(call_node):
    call = call_node()
    status, out, _ = call('set_labels', 'floor', 'chair=chair|armchair')
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ['id', 'name', 'prompts', 'groups']
    assert ['chair', 'chair', '|', 'armchair'] in [row[1:] for row in rows]
    assert call('set_labels', 'plant', '--mode', 'add')[0] == 0
    assert call('set_labels', 'floor', '--mode', 'remove')[0] == 0
    status, out, _ = call('get_labels')
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()[1:-1]] == ['other', 'chair', 'plant']
    status, out, _ = call('set_labels', '--group', 'soft=chair|plant', '--group', 'moving=')
    assert status == 0
    assert [line.split()[-1] for line in out.splitlines()[2:-1]] == ['soft', 'soft']


def test_refusal_says_why_and_returns_1(call_node):
    call = call_node()
    status, out, err = call('set_labels', 'floor', 'floor')
    assert (status, out) == (1, '')
    assert 'refused' in err and "'floor'" in err
    status, _, err = call('query', 'exit sign')
    assert status == 1 and 'image' in err


@pytest.mark.slow
def test_query_names_the_place_of_each_text(call, active):
    client = active(labels=['floor', 'door'])
    status, out, _ = call('query', 'exit sign', 'door', '--node', f'{client.namespace}/lseg')
    assert status == 0
    first, second = out.splitlines()
    assert first.startswith('exit sign: relevance ') and second.startswith('door: relevance ')
    assert 'column' in first and 'row' in first


def test_answers_are_json_on_request(call_node):
    call = call_node()
    status, out, _ = call('encode_text', 'exit sign', 'sofa', '--json')
    answer = json.loads(out)
    assert status == 0 and answer['success']
    assert len(answer['rows']) == 2 * answer['dim']
    assert json.loads(call('state', '--json')[1]) == 'inactive'
    status, out, err = call('set_labels', 'a=', '--json')
    assert status == 1 and not json.loads(out)['success'] and json.loads(out)['message'] in err


@pytest.mark.slow
def test_states_are_shown_and_changed_one_after_the_other(call_node):
    call = call_node()
    for verb, state in (('activate', 'active'), ('deactivate', 'inactive'), ('cleanup', 'unconfigured')):
        assert call(verb) == (0, f'{state}\n', '')
    assert call('state') == (0, 'unconfigured\n', '')
    status, out, err = call('activate')
    assert (status, out) == (1, '')
    assert 'cannot activate and is unconfigured' in err
    status, _, err = call('get_labels')
    assert status == 1 and 'no labels before it is configured' in err


@pytest.mark.slow
def test_output_is_switched_off_and_on(call_node):
    call = call_node()
    assert call('enable', 'off')[:2] == (0, 'disabled, but the node is not active\n')
    assert call('enable', 'on')[:2] == (0, 'enabled, but the node is not active\n')


@pytest.mark.slow
def test_map_is_asked_by_its_own_name(call, start, ros_context):
    client = start(labels=['floor', 'door'])
    overrides = [Parameter('voxel_size', value=0.1)]
    node = MapNode(context=ros_context, namespace=client.namespace, enable_rosout=False, parameter_overrides=overrides)
    with running(node, node.close):
        name = f'{client.namespace}/lseg_map'
        status, _, err = call('query_map', 'sofa', '--node', name)
        assert status == 1 and name in err
        status, out, _ = call('list')
        assert status == 0
        assert name in out and f'{client.namespace}/lseg' in out and 'query_map' in out


@pytest.mark.slow
def test_list_waits_for_nodes_that_are_discovered_late(ros_context, monkeypatch):
    """On a busy machine, one node may be discovered some seconds after another."""
    now = 0.0

    def sleep(pause):
        nonlocal now
        for late in (1.0, 2.5):
            if now < late <= now + pause:
                node = rclpy.create_node(f'late{late:.0f}', context=ros_context)
                nodes.enter_context(running(node))
                node.create_service(SetLabels, '~/set_labels', lambda _, response: response)
        now += pause

    monkeypatch.setattr(discovery, 'time', SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    with ExitStack() as nodes:
        asker = rclpy.create_node('asker', context=ros_context, **BARE)
        nodes.enter_context(running(asker))
        found = discovery.await_services(asker)
    assert found['/late1'] == found['/late2'] == ['set_labels']


def test_missing_node_is_reported_with_those_that_are_there(call, start):
    client = start()
    client.node.create_client(GetState, '/elsewhere/lseg/get_state')  # which does not make it exist
    status, out, err = call('state', '--node', '/elsewhere/lseg', '--timeout', '2')
    assert (status, out) == (2, '')
    assert 'no service /elsewhere/lseg/get_state' in err
    assert f'{client.namespace}/lseg with ' in err and 'set_labels' in err


@pytest.mark.parametrize(
    'arguments, problem',
    [
        (['state', '--node', 'no node'], "'no node' is not the name of a node"),
        (['query_map', 'sofa', '--top-k', '0'], "'0' is not a whole number from 1 to 20"),
        (['query', 'sofa', '--timeout', 'soon'], "'soon' is not a number above 0 and at most 86400"),
        (['set_labels', 'floor', '--group'], '--group'),
    ],
)
def test_wrong_call_is_refused_in_one_line(call, arguments, problem):
    status, _, err = call(*arguments)
    assert status == 2
    assert problem in err and err.count('\n') == 1


def test_help_shows_an_example_of_every_call(call):
    status, out, _ = call('--help')
    assert status == 0
    for name in ('list', 'set_labels', 'get_labels', 'query', 'query_map', 'encode_text', 'state', 'activate'):
        assert f'lseg call {name}' in out
