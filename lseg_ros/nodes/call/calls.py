# SPDX-License-Identifier: Apache-2.0
"""Everything that ``lseg call`` can ask of a node."""

from __future__ import annotations

import argparse
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from lifecycle_msgs.msg import Transition

from lseg_ros.core.cameras import parse_cameras
from lseg_ros.mapping.ranges import MOST_ANSWERS
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.call.answers import NodeAnswer, found_lines, query_lines, table_lines, text_lines
from lseg_ros.nodes.client import MapClient, NodeClient, SegmentationClient
from lseg_ros.nodes.label_modes import ADD, REMOVE, REPLACE
from lseg_ros.nodes.latched import LATCHED
from lseg_ros.number_options import SHARE, whole

Ask: TypeAlias = Callable[[Any, argparse.Namespace], NodeAnswer]
AddArguments: TypeAlias = Callable[[argparse.ArgumentParser], object]


@dataclass(frozen=True)
class Call:
    """One thing to ask of a node: what it is for, an example, what it needs, and how to ask.

    `service` must be there before `ask` is called, with a `client` of the node; `node` is the name
    of the node unless another one is given.
    """

    help: str
    example: str
    service: str
    ask: Ask
    add_arguments: AddArguments = lambda parser: None
    client: type[NodeClient] = NodeClient
    node: str = 'lseg'


def _set_labels(client: NodeClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.set_labels(args.labels, args.mode, args.group)
    return NodeAnswer.of(response, table_lines(response.label_set))


def _get_labels(client: NodeClient, args: argparse.Namespace) -> NodeAnswer:
    """Read the latched table, which no service returns."""
    if client.state() == 'unconfigured':
        return NodeAnswer(None, (), 'it has no labels before it is configured')
    cameras = parse_cameras([args.camera] if args.camera else client.get_parameter('cameras') or ())
    topic = f'{client.target}/{cameras[0].input("label_set")}'
    tables: queue.SimpleQueue[LabelSet] = queue.SimpleQueue()
    client.node.create_subscription(LabelSet, topic, lambda table: tables.put(table), LATCHED)
    try:
        table = tables.get(timeout=args.timeout)
    except queue.Empty:
        raise TimeoutError(f'nothing on {topic} within {args.timeout:g} s') from None
    return NodeAnswer(table, tuple(table_lines(table)))


def _enable(client: SegmentationClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.enable(args.switch == 'on')
    return NodeAnswer.of(response, [response.message])


def _query(client: SegmentationClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.query(args.prompts, args.camera)
    return NodeAnswer.of(response, query_lines(args.prompts, response))


def _encode_text(client: SegmentationClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.encode_text(args.prompts)
    return NodeAnswer.of(response, text_lines(args.prompts, response))


def _query_map(client: MapClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.query_map(args.prompts, args.top_k, args.minimum_score)
    return NodeAnswer.of(response, found_lines(args.prompts, response))


def _save_map(client: MapClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.save_map(args.path)
    return NodeAnswer.of(response, [f'{response.voxels} voxels saved'])


def _load_map(client: MapClient, args: argparse.Namespace) -> NodeAnswer:
    response = client.load_map(args.path)
    return NodeAnswer.of(response, [f'{response.voxels} voxels loaded'])


def _state(client: NodeClient, args: argparse.Namespace) -> NodeAnswer:
    state = client.state()
    return NodeAnswer(state, (state,))


def _transition(verb: str, transition: int) -> Ask:
    def ask(client: NodeClient, args: argparse.Namespace) -> NodeAnswer:
        succeeded = client.change_state(transition)
        state = client.state()
        refusal = '' if succeeded else f'it cannot {verb} and is {state}; its log and /diagnostics say why'
        return NodeAnswer(state, (state,), refusal)

    return ask


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('labels', nargs='*', metavar='LABEL', help='a name, or "name=prompt|prompt|..."')
    parser.add_argument(
        '--mode',
        choices=(REPLACE, ADD, REMOVE),
        default=REPLACE,
        help='replace: these labels and no others; add: these as well as the present ones; '
        'remove: the present ones without these (default: %(default)s)',
    )
    parser.add_argument(
        '--group',
        action='append',
        default=[],
        metavar='GROUP=LABEL|LABEL',
        help='the members of a group; none after the = for no such group; may be repeated. Groups that are not '
        "given keep their members, unless '*=' is; without a LABEL only groups change",
    )


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('prompts', nargs='+', metavar='TEXT', help='a text, such as "exit sign"')


def _add_camera(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--camera', default='', help='name of the camera (default: the first one)')


def _add_query(parser: argparse.ArgumentParser) -> None:
    _add_prompts(parser)
    _add_camera(parser)


def _add_map_query(parser: argparse.ArgumentParser) -> None:
    _add_prompts(parser)
    parser.add_argument(
        '--top-k', type=whole(1, MOST_ANSWERS), default=1, metavar='N', help='most answers for each text (default: 1)'
    )
    parser.add_argument(
        '--minimum-score', type=SHARE, default=0.0, metavar='0..1', help="least score (default: the node's parameter)"
    )


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('path', nargs='?', default='', help="file on the node's machine (default: its map_file)")


def _add_switch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('switch', choices=('on', 'off'), help='whether to segment the stream')


CALLS = {
    'set_labels': Call(
        'change the labels while the node runs',
        'lseg call set_labels floor "chair=chair|armchair" person',
        'set_labels',
        _set_labels,
        _add_labels,
    ),
    'get_labels': Call('show the labels in force', 'lseg call get_labels', 'get_state', _get_labels, _add_camera),
    'query': Call(
        'look for texts in the latest image',
        'lseg call query "exit sign" door',
        'query',
        _query,
        _add_query,
        SegmentationClient,
    ),
    'query_map': Call(
        'look for texts in the map',
        'lseg call query_map sofa "exit sign" --top-k 3',
        'query_map',
        _query_map,
        _add_map_query,
        MapClient,
        'lseg_map',
    ),
    'encode_text': Call(
        'encode texts, to be compared with ~/embedding',
        'lseg call encode_text "exit sign" --json',
        'encode_text',
        _encode_text,
        _add_prompts,
        SegmentationClient,
    ),
    'enable': Call(
        'switch the output on or off', 'lseg call enable off', 'enable', _enable, _add_switch, SegmentationClient
    ),
    'save_map': Call(
        'save the map',
        'lseg call save_map building.safetensors',
        'save_map',
        _save_map,
        _add_path,
        MapClient,
        'lseg_map',
    ),
    'load_map': Call(
        'load a map', 'lseg call load_map building.safetensors', 'load_map', _load_map, _add_path, MapClient, 'lseg_map'
    ),
    'state': Call('show the lifecycle state', 'lseg call state', 'get_state', _state),
    **{
        verb: Call(help_text, f'lseg call {verb}', 'change_state', _transition(verb, transition))
        for verb, transition, help_text in (
            ('configure', Transition.TRANSITION_CONFIGURE, 'load the model'),
            ('activate', Transition.TRANSITION_ACTIVATE, 'start the stream'),
            ('deactivate', Transition.TRANSITION_DEACTIVATE, 'stop the stream'),
            ('cleanup', Transition.TRANSITION_CLEANUP, 'free the memory'),
        )
    },
}
