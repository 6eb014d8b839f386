# SPDX-License-Identifier: Apache-2.0
"""Consumers in processes that start while a node streams, one after the other.

Prints for each, as a JSON object in a line, when the first message of each topic arrived, and how
long subscribing took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

TIMEOUT_S = 30.0
TOPICS = {'label_image': Image, 'masks/floor': Image, 'label_info': LabelInfo}


def consume(namespace: str, topics: Sequence[str], durability: DurabilityPolicy) -> dict[str, int]:
    """Subscribe in this order; return when the first message of each topic came (ns).

    Of the images, only later ones come; of the table, this depends on `durability`.
    `took` is the time from the first subscription to the last (ns).
    """
    rclpy.init()
    node = Node('consumer', namespace=namespace, enable_rosout=False, start_parameter_services=False)
    first: dict[str, int] = {}
    started = time.monotonic_ns()
    for topic in topics:
        qos = QoSProfile(depth=50, durability=durability if topic == 'label_info' else DurabilityPolicy.VOLATILE)
        node.create_subscription(TOPICS[topic], f'lseg/{topic}', _keeper(first, topic), qos)
    took = time.monotonic_ns() - started
    end = time.monotonic() + TIMEOUT_S
    while len(first) < len(topics) and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    rclpy.shutdown()
    return first | {'took': took}


def _keeper(first: dict[str, int], topic: str) -> Callable[[Any, dict[str, int]], None]:
    def keep(_: Any, info: dict[str, int]) -> None:
        first.setdefault(topic, info['received_timestamp'])

    return keep


def main(namespace: str, starts: str) -> None:
    """Fork a process for each start, which saves the time that importing takes."""
    orders = (tuple(TOPICS), tuple(reversed(TOPICS)))
    durabilities = (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL)
    for start in range(int(starts)):
        if not os.fork():
            try:
                print(json.dumps(consume(namespace, orders[start % 2], durabilities[start // 2 % 2])), flush=True)
            finally:
                os._exit(0)
        os.wait()


if __name__ == '__main__':
    main(*sys.argv[1:])
