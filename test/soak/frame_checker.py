# SPDX-License-Identifier: Apache-2.0
"""Checks every label image of several nodes against its table, from outside of the nodes.

A label image must have the one id, or one of the ids, that the oracle gives to the colour of the
picture, under the last table sent before it, and the size of the picture. Tables are latched with
a depth of one, so one may be replaced before it is sent: a gap in their sequence numbers shows
that, and the frames in the gap are counted as not judged.
"""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect_left
from collections import Counter, deque
from typing import Any, NamedTuple

import numpy as np
import rclpy
from camera_driver import red_at
from oracle_answers import right_ids
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image

from lseg_ros.msg import LabelSet

DELAY_S = 2.0  # for tables that are on their way when a frame arrives
MANY = QoSProfile(depth=1000)
LATCHED = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OTHER = 0


class _Table(NamedTuple):
    sent_ns: int
    sequence: int
    since_ns: int
    right: np.ndarray  # bool [256 reds, 256 ids]


class _Frame(NamedTuple):
    sent_ns: int
    arrived_s: float
    label_image: Image


class OutputChecker:
    """Checks the label images of one camera of one node."""

    def __init__(self, node: Node, output: str, camera: str, counts: Counter[str]) -> None:
        """Subscribe to the topics below `output`, and count in `counts`."""
        self._camera = camera
        self._counts = counts
        self._tables: list[_Table] = []
        self._frames: deque[_Frame] = deque()
        self._masks: dict[int, Image] = {}  # of other, by stamp
        node.create_subscription(LabelSet, f'{output}/label_set', self._keep_table, LATCHED)
        node.create_subscription(Image, f'{output}/label_image', self._keep_frame, MANY)
        node.create_subscription(Image, f'{output}/masks/other', self._keep_mask, MANY)

    def _keep_table(self, message: LabelSet, info: dict[str, int]) -> None:
        self._counts['tables'] += 1
        since_ns = Time.from_msg(message.header.stamp).nanoseconds
        sequence = info['publication_sequence_number']
        self._tables.append(_Table(info['source_timestamp'], sequence, since_ns, right_ids(message.classes)))

    def _keep_frame(self, message: Image, info: dict[str, int]) -> None:
        self._frames.append(_Frame(info['source_timestamp'], time.monotonic(), message))

    def _keep_mask(self, message: Image, _: dict[str, int]) -> None:
        self._masks[Time.from_msg(message.header.stamp).nanoseconds] = message

    def judge(self) -> None:
        """Check the frames that arrived a while ago."""
        while self._frames and self._frames[0].arrived_s < time.monotonic() - DELAY_S:
            frame = self._frames.popleft()
            self._counts[verdict := self._verdict(frame)] += 1
            if verdict.startswith('wrong'):
                print(f'{verdict}: {frame.label_image.header}', file=sys.stderr, flush=True)

    def _verdict(self, frame: _Frame) -> str:
        message = frame.label_image
        stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
        if message.header.frame_id != f'{self._camera} {message.width}x{message.height}':
            return 'wrong header'
        ids = np.frombuffer(message.data, np.uint8)
        if len(ids) != message.width * message.height or (ids != ids[0]).any():
            return 'wrong picture'
        mask = self._masks.pop(stamp_ns, None)
        if mask is not None:
            self._counts['masks checked'] += 1
            if bytes(mask.data) != bytes(np.where(ids == OTHER, 255, 0).astype(np.uint8)):
                return 'wrong mask'
        return self._verdict_of_table(frame.sent_ns, stamp_ns, int(ids[0]))

    def _verdict_of_table(self, sent_ns: int, stamp_ns: int, class_id: int) -> str:
        at = bisect_left([table.sent_ns for table in self._tables], sent_ns)
        if not at:
            return 'frames before any table'
        table = self._tables[at - 1]
        if at < len(self._tables) and self._tables[at].sequence > table.sequence + 1:
            return 'frames not judged, table lost'
        self._forget(at - 1)
        if table.since_ns > stamp_ns:
            return 'wrong stamp of table'
        return 'frames right' if table.right[red_at(stamp_ns), class_id] else 'wrong ids'

    def _forget(self, count: int) -> None:
        """Drop the tables before the one in force, and old masks without a label image."""
        del self._tables[:count]
        for stamp in [*self._masks][:-100]:
            del self._masks[stamp]


def main(cameras: str, *targets: str) -> None:
    """Check until the process is killed, and print the counts every second."""
    rclpy.init()
    node = rclpy.create_node('frame_checker')
    counts: dict[str, Counter[str]] = {target: Counter() for target in targets}
    checkers = [
        OutputChecker(node, f'{target}/{camera}', camera, counts[target])
        for target in targets
        for camera in cameras.split(',')
    ]

    def report() -> None:
        for checker in checkers:
            checker.judge()
        print(json.dumps(_flat(counts)), flush=True)

    node.create_timer(1.0, report)
    rclpy.spin(node)


def _flat(counts: dict[str, Counter[str]]) -> dict[str, Any]:
    return {f'{target} {name}': count for target, part in counts.items() for name, count in part.items()}


if __name__ == '__main__':
    main(*sys.argv[1:])
