# SPDX-License-Identifier: Apache-2.0
"""``lseg call``: ask a running node something, and show its answer."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.validate_topic_name import validate_topic_name

from lseg_ros.error_text import one_line
from lseg_ros.nodes.call.calls import CALLS, Call
from lseg_ros.nodes.call.discovery import FOUND_WITHIN_S, await_service, await_services, describe
from lseg_ros.nodes.spinning import spinning
from lseg_ros.number_options import NumberType

MOST_S = 86_400  # of a timeout
HELP = 'ask a running node to change labels, find a text, and more'
EXAMPLES = '\n'.join(f'  {call.example}' for call in CALLS.values())
DESCRIPTION = f"""\
Ask a running node something, without the ROS command line.

  lseg call list
{EXAMPLES}

A label is a name, or a name with the texts that stand for it: "name=text|text". Calls go to the node
lseg, those about the map to lseg_map; --node names another, such as /robot1/lseg. The node and this
terminal need the same ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE.

The exit status is 0 for success, 1 if the node refused, and 2 if the call is wrong or no node answered.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the calls, each with its own arguments, to the command's parser."""
    calls = parser.add_subparsers(title='calls', metavar='CALL', required=True)
    listing = calls.add_parser('list', help='list the running nodes and their services')
    listing.set_defaults(call=None)
    for name, call in CALLS.items():
        one = calls.add_parser(
            name, help=call.help, description=f'{call.help[0].upper()}{call.help[1:]}: {call.example}'
        )
        call.add_arguments(one)
        one.add_argument(
            '--node',
            type=_node_name,
            default=call.node,
            help='name of the node, with its namespace (default: %(default)s)',
        )
        one.add_argument(
            '--timeout',
            type=NumberType(above=0, most=MOST_S),
            default=30.0,
            metavar='S',
            help='seconds to wait for the answer (default: 30)',
        )
        one.add_argument('--json', action='store_true', help='print the whole answer as JSON, but no pixels')
        one.set_defaults(call=call)


def run(args: argparse.Namespace) -> int:
    """Print what the node answers; return 1 if it refuses, else 0."""
    with _joined() as node:
        if args.call is None:
            print(describe(await_services(node)))
            return 0
        call: Call = args.call
        await_service(node, f'{args.node}/{call.service}', min(args.timeout, FOUND_WITHIN_S))
        answer = call.ask(call.client(node, args.node, args.timeout), args)
    if args.json:
        print(answer.json())
    elif not answer.refusal:
        print('\n'.join(answer.lines))
    if answer.refusal:
        print(f'lseg call: {args.node} refused: {answer.refusal}', file=sys.stderr)
    return 1 if answer.refusal else 0


@contextmanager
def _joined() -> Iterator[Node]:
    """Join the ROS graph with a node that spins in a thread of its own."""
    context = rclpy.Context()
    with ExitStack() as leaving:
        try:
            rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
            leaving.callback(context.try_shutdown)
            node = rclpy.create_node(
                f'lseg_call_{os.getpid()}', context=context, enable_rosout=False, start_parameter_services=False
            )
        except RuntimeError as error:
            raise ValueError(f'ROS cannot start: {one_line(error)}') from error
        leaving.callback(node.destroy_node)
        leaving.enter_context(spinning(node))
        yield node


def _node_name(text: str) -> str:
    try:
        validate_topic_name(text)
    except NameValidationException as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not the name of a node') from error
    return text
