# SPDX-License-Identifier: Apache-2.0
"""Which nodes of this package are running, by the services that they offer."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from contextlib import suppress

from rclpy.node import Node, NodeNameNonExistentError

FOUND_WITHIN_S = 5.0
SETTLED_S = 2.0  # after the last find: on a busy machine one node is discovered so much later than another
_POLL_S = 0.05
_OUR_TYPES = 'lseg_ros/srv/'


def await_service(node: Node, name: str, patience_s: float) -> None:
    """Return once a service is there; raise TimeoutError, saying what is there, if it is not."""
    name = node.resolve_service_name(name)
    deadline = time.monotonic() + patience_s
    while name not in _services(node):
        if time.monotonic() > deadline:
            raise TimeoutError(f'no service {name}. {describe(services(node))}')
        time.sleep(_POLL_S)


def await_services(node: Node) -> dict[str, list[str]]:
    """Return `services` once no more turn up; raise TimeoutError, with advice, if none do."""
    found: dict[str, list[str]] = {}
    deadline = time.monotonic() + FOUND_WITHIN_S
    while time.monotonic() < deadline:
        if found != (now := services(node)):
            found, deadline = now, time.monotonic() + SETTLED_S
        time.sleep(_POLL_S)
    if not found:
        raise TimeoutError(describe({}))
    return found


def services(node: Node) -> dict[str, list[str]]:
    """Return the services of this package that `node` sees, by the name of the node they ask."""
    found = defaultdict(list)
    for name, types in _services(node).items():
        if any(kind.startswith(_OUR_TYPES) for kind in types):
            owner, _, service = name.rpartition('/')
            found[owner].append(service)
    return dict(found)


def _services(node: Node) -> dict[str, list[str]]:
    """Return the types of all services, by name.

    Ask each node: the list of the whole graph has services that only clients know.
    """
    found: dict[str, list[str]] = {}
    for name, namespace in node.get_node_names_and_namespaces():
        with suppress(NodeNameNonExistentError):  # it has gone meanwhile
            found.update(node.get_service_names_and_types_by_node(name, namespace))
    return found


def describe(found: dict[str, list[str]]) -> str:
    """Return in words which services there are, or what to do if there are none."""
    if found:
        return 'Found: ' + '; '.join(f'{owner} with {", ".join(names)}' for owner, names in sorted(found.items()))
    domain = os.environ.get('ROS_DOMAIN_ID', '0')
    return (
        f'No node of lseg_ros was found in ROS domain {domain}: start one, and give both terminals '
        'the same ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE'
    )
