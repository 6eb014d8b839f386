# SPDX-License-Identifier: Apache-2.0
"""Churn: labels change, nodes go through their lifecycle and processes are killed, at random.

Two nodes segment the same three cameras, and four clients change the labels of both. One node
goes through its lifecycle again and again and is watched for growth; the other one, the cameras
and the clients are killed and started again. A process of its own checks every frame.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import NamedTuple

import rclpy
from actors import Actor, total
from growth import BLOCKS, growth
from label_client import LATE_S, all_labels
from lifecycle_msgs.msg import Transition
from rclpy.node import Node
from results import Result, nothing, progress, something
from watched_process import Use, use_of

from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.spinning import spinning

PART = 'churn'
CAMERAS = ('front', 'left', 'rear')
STEADY, SHAKY = '/steady/lseg', '/shaky/lseg'
CLIENTS = 4
STEP_S = 1.0
STEPS_PER_KILL = 7
STEPS_PER_ROUND = 5
START_S = 300.0  # for everything to start on a busy machine
STEADY_S = 120.0  # for a response of a node that is never killed: after this it is lost, not late
RETRY_S = 5.0  # for a response of the shaky node, which DDS may take for alive after it is killed
SETTLE_S = 120.0  # for DDS to notice that processes have been killed, and more
ALLOWED_MB = 16.0
ROUND = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)
LONG_ROUND = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)


class _Sample(NamedTuple):
    """What the steady node used after so many label changes."""

    changes: int
    heap_mb: float
    resident_mb: float


class Churn:
    """All processes of the campaign, and what has been seen of them so far."""

    def __init__(self, node: Node, seed: int) -> None:
        """Start all processes but the clients; requests are made through `node`."""
        self._node = node
        self._random = random.Random(seed)
        self._seed = seed
        self.checker = Actor('frame_checker', ','.join(CAMERAS), STEADY, SHAKY)
        self.cameras = [Actor('camera_driver', name) for name in CAMERAS]
        self.steady, self.shaky = (Actor('oracle_node', *_arguments(target)) for target in (STEADY, SHAKY))
        self.clients: list[Actor] = []
        self._requests = {
            STEADY: SegmentationClient(node, STEADY, START_S),
            SHAKY: SegmentationClient(node, SHAKY, RETRY_S),
        }
        self._samples: list[_Sample] = []
        self._rounds = self._failed_rounds = 0
        self._is_shaky_down = False
        self._crashed: list[str] = []

    @property
    def actors(self) -> list[Actor]:
        """All processes that run."""
        return [self.checker, *self.cameras, self.steady, self.shaky, *self.clients]

    @property
    def changes(self) -> int:
        """How many label changes have been made."""
        return sum(count for name, count in total(self.clients).items() if name.endswith('changes made'))

    def bring_up(self) -> Use:
        """Start both nodes and wait for checked frames; return what the steady node then uses.

        The steady node has seen every prompt then: its cache of encoded prompts grows no more.
        """
        self._wait(partial(self._is_there, STEADY))
        self._requests[STEADY].bring_up()
        for labels in all_labels():
            self._requests[STEADY].set_labels(labels)
        self._wait(self._bring_up_shaky)
        self._wait(lambda: all(self.checker.counts[f'{target} frames right'] > 10 for target in (STEADY, SHAKY)))
        return use_of(self.steady.pid)

    def run(self, changes: int, seconds: float) -> None:
        """Churn until there have been so many label changes, or for so many seconds."""
        self.clients = [
            Actor('label_client', f'{self._seed}.{number}', f'{STEADY}={STEADY_S}', f'{SHAKY}={LATE_S}')
            for number in range(CLIENTS)
        ]
        end = time.monotonic() + seconds
        with progress(PART, changes, 'change') as bar:
            step = 0
            while bar.n < changes and time.monotonic() < end and not self._crashed:
                time.sleep(STEP_S)
                step += 1
                self._samples.append(self._sample())
                if step % STEPS_PER_ROUND == 0:
                    self._lifecycle_round(long=step % (4 * STEPS_PER_ROUND) == 0)
                if step % STEPS_PER_KILL == 0:
                    self._kill_one()
                if self._is_shaky_down and self._is_there(SHAKY):
                    self._is_shaky_down = not self._bring_up_shaky()
                self._crashed += [actor.name for actor in self.actors if actor.has_crashed]
                bar.update(self.changes - bar.n)

    def settle(self, start: Use) -> Use:
        """Stop the clients and let the steady node come to rest; return what it then uses."""
        for client in self.clients:
            client.kill()
        end = time.monotonic() + SETTLE_S
        while (use := use_of(self.steady.pid)) and time.monotonic() < end:
            if use.files <= start.files and use.threads <= start.threads:
                break
            time.sleep(STEP_S)
        return use

    def results(self, goal: int) -> Iterator[Result]:
        """Yield what has been seen so far; `goal` is how many label changes were to be made."""
        yield Result(PART, 'label changes', f'{self.changes:,} of {goal:,}')
        yield from self._change_results()
        yield from self._frame_results()
        yield Result(PART, 'lifecycle rounds', f'{self._rounds:,}')  # none if the run is short
        yield nothing(PART, 'lifecycle rounds that failed', self._failed_rounds)
        for name, actors in (('cameras', self.cameras), ('clients', self.clients), ('nodes', [self.shaky])):
            yield Result(PART, f'{name} killed', str(sum(actor.kills for actor in actors)))
        yield Result(PART, 'processes that ended by themselves', ', '.join(self._crashed) or '0', not self._crashed)
        yield from self._memory_results()

    def end_results(self, start: Use, end: Use) -> Iterator[Result]:
        """Stop the nodes; yield what the steady one has left over, and how they ended."""
        yield Result(PART, 'open files, start and end', f'{start.files} {end.files}', end.files <= start.files)
        yield Result(PART, 'threads, start and end', f'{start.threads} {end.threads}', end.threads <= start.threads)
        codes = [node.stop() for node in (self.steady, self.shaky)]
        yield Result(PART, 'exit codes of the nodes', ' '.join(map(str, codes)), not any(codes))

    def _change_results(self) -> Iterator[Result]:
        counts = total(self.clients)
        for outcome in ('made', 'refused with a reason', f'late (after {LATE_S:g} s)', 'unanswered', 'wrong'):
            per_node = [counts[f'{target} changes {outcome.split()[0]}'] for target in (STEADY, SHAKY)]
            is_right = outcome not in ('unanswered', 'wrong') or not per_node[0]
            if outcome == 'wrong':
                is_right = not any(per_node)
            yield Result(
                PART, f'label changes {outcome}, steady and shaky node', '{:,} {:,}'.format(*per_node), is_right
            )

    def _frame_results(self) -> Iterator[Result]:
        counts = self.checker.counts
        for name in ('frames right', 'masks checked', 'tables'):
            yield something(PART, name, sum(counts[f'{target} {name}'] for target in (STEADY, SHAKY)))
        lost = sum(counts[f'{target} frames not judged, table lost'] for target in (STEADY, SHAKY))
        yield Result(PART, 'frames not judged, as a newer table replaced theirs', f'{lost:,}')
        bad = {name: count for name, count in counts.items() if ' wrong ' in name or name.endswith('before any table')}
        yield Result(PART, 'frames wrong', str(bad or 0), not bad)

    def _sample(self) -> _Sample:
        return _Sample(self.changes, self.steady.counts['heap'] / 2**20, use_of(self.steady.pid).memory_mb)

    def _memory_results(self) -> Iterator[Result]:
        kept = self._samples[len(self._samples) // 4 :]  # caches fill at first
        if len(kept) < 2 * BLOCKS:
            yield Result(PART, 'memory', 'run too short to tell')
            return
        changes, heap, resident = zip(*kept)
        for name, memory in (('heap in use', heap), ('memory without mapped files', resident)):
            found = growth(changes, memory)
            value = f'{memory[-1]:.0f} MB, {1e3 * found.slope:+.2f} +- {1e3 * found.margin:.2f} MB per 1000 changes'
            yield Result(PART, name, value, found.least * (changes[-1] - changes[0]) < ALLOWED_MB)

    def _lifecycle_round(self, long: bool) -> None:
        client = self._requests[STEADY]
        made = [client.change_state(transition) for transition in (LONG_ROUND if long else ROUND)]
        self._rounds += 1
        self._failed_rounds += not all(made)

    def _is_there(self, target: str) -> bool:
        return any(name == f'{target}/get_state' for name, _ in self._node.get_service_names_and_types())

    def _wait(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; raise RuntimeError if a process ends, or after START_S."""
        end = time.monotonic() + START_S
        while not condition():
            if crashed := [actor.name for actor in self.actors if actor.has_crashed]:
                raise RuntimeError(f'{", ".join(crashed)} ended instead of starting')
            if time.monotonic() > end:
                raise RuntimeError(f'no frames within {START_S:g} s')
            time.sleep(STEP_S)

    def _kill_one(self) -> None:
        victims = [*self.cameras, *self.clients, *([] if self._is_shaky_down else [self.shaky])]
        victim = self._random.choice(victims)
        victim.kill()
        time.sleep(self._random.uniform(0, 2))
        victim.restart()
        self._is_shaky_down |= victim is self.shaky

    def _bring_up_shaky(self) -> bool:
        """Bring the shaky node up; return False if it still needs time to start."""
        with suppress(TimeoutError):
            self._requests[SHAKY].bring_up()
            return True
        return False


def _arguments(target: str) -> list[str]:
    """Return the arguments of a node that segments all cameras."""
    namespace = target.rsplit('/', 1)[0]
    inputs = [part for camera in CAMERAS for part in ('-r', f'{camera}/image:=/{camera}/image')]
    names = f'cameras:=[{", ".join(CAMERAS)}]'
    return ['--ros-args', '-r', f'__ns:={namespace}', *inputs, '-p', names, '-p', 'labels:=[floor, door]']


@contextmanager
def _campaign(seed: int) -> Iterator[Churn]:
    """Run the processes of a churn; kill those that are left at the end."""
    rclpy.init()
    node = rclpy.create_node('churn')
    with ExitStack() as cleanup:
        cleanup.callback(rclpy.try_shutdown)
        cleanup.callback(node.destroy_node)
        cleanup.enter_context(spinning(node))
        churn = Churn(node, seed)
        cleanup.callback(lambda: [actor.kill() for actor in churn.actors if not actor.has_crashed])
        yield churn


def run_churn(changes: int, seconds: float, seed: int, results: list[Result]) -> None:
    """Churn until there have been so many label changes or for so many seconds.

    Append what came of it to `results`, also if this is interrupted.
    """
    with _campaign(seed) as churn:
        start = churn.bring_up()
        try:
            churn.run(changes, seconds)
            end = churn.settle(start)
        finally:
            results += churn.results(changes)
        results += churn.end_results(start, end)
