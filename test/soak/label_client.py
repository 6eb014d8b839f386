# SPDX-License-Identifier: Apache-2.0
"""A client that changes the labels of nodes as fast as they respond, and checks the tables."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

import rclpy

from lseg_ros.msg import LabelSet
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.spinning import spinning

VOCABULARY = [f'{color} {thing}' for color in ('red', 'green', 'blue', 'white') for thing in range(100)]
VARIANTS = 2  # prompts of a name besides the name itself
REFUSED = (['cat', 'cat'], ['a=b=c'], [''], ['unlabelled'])
LATE_S = 15.0


def all_labels() -> list[list[str]]:
    """Return sets of labels, each small enough for a node, with every prompt that clients use."""
    labels = [f'{name}={"|".join([name, *(f"{name} {number}" for number in range(VARIANTS))])}' for name in VOCABULARY]
    return [labels[: len(labels) // 2], labels[len(labels) // 2 :]]


class LabelClient:
    """Makes one random change after another and counts what comes of them."""

    def __init__(self, client: SegmentationClient, random_numbers: random.Random) -> None:
        """Make changes through `client`."""
        self._client = client
        self._random = random_numbers

    def change(self) -> str:
        """Make a random change; return its outcome."""
        action: Callable[[], str] = self._random.choices(
            (self._replace, self._add, self._remove, self._fail), weights=(4, 4, 3, 1)
        )[0]
        try:
            return action()
        except TimeoutError:
            return 'changes unanswered'

    def _replace(self) -> str:
        names = self._random.sample(VOCABULARY, self._random.randint(1, 12))
        labels = [f'{name}={name}|{name} {self._random.randrange(VARIANTS)}' for name in names]
        answer = self._client.set_labels(labels)
        return _outcome(answer.success and names_of(answer.label_set) == {'other', *names})

    def _add(self) -> str:
        names = self._random.sample(VOCABULARY, self._random.randint(1, 3))
        answer = self._client.set_labels(names, 'add')
        return _outcome(answer.success and names_of(answer.label_set) >= {'other', *names})

    def _remove(self) -> str:
        """Remove a label that was there a moment ago; another client may be faster."""
        known = names_of(self._client.set_labels([''], 'add').label_set) - {'other'}
        if not known:
            return 'changes refused'
        name = self._random.choice(sorted(known))
        answer = self._client.set_labels([name], 'remove')
        if not answer.success:
            return 'changes refused' if answer.message else 'changes wrong'
        return _outcome(name not in names_of(answer.label_set))

    def _fail(self) -> str:
        answer = self._client.set_labels(self._random.choice(REFUSED))
        return 'changes refused' if not answer.success and answer.message else 'changes wrong'


def _outcome(is_right: bool) -> str:
    return 'changes made' if is_right else 'changes wrong'


def names_of(table: LabelSet) -> set[str]:
    """Return the names in a table."""
    return {entry.name for entry in table.classes}


def main(seed: str, *targets: str) -> None:
    """Change the labels of nodes until the process is killed.

    Each of `targets` is the name of a node, an equals sign and how long to wait for a response (s).
    """
    rclpy.init()
    node = rclpy.create_node(f'label_client_{os.getpid()}')
    numbers = random.Random(seed)
    counts: Counter[str] = Counter()
    with spinning(node):
        patience_s = {name: float(seconds) for name, seconds in (target.split('=') for target in targets)}
        clients = {
            name: LabelClient(SegmentationClient(node, name, seconds), numbers) for name, seconds in patience_s.items()
        }
        while True:
            target = numbers.choice([*clients])
            started = time.monotonic()
            outcome = clients[target].change()
            counts[f'{target} {outcome}'] += 1
            is_late = time.monotonic() > started + LATE_S and not outcome.endswith('unanswered')
            counts[f'{target} changes late'] += is_late
            print(json.dumps(counts), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
