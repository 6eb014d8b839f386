# SPDX-License-Identifier: Apache-2.0
"""Spin a node in the background while the calling thread does something else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Spin `node` in a thread of its own until the block ends; the caller destroys the node."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), name=node.get_name())
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()


def _spin(executor: SingleThreadedExecutor) -> None:
    with suppress(ExternalShutdownException, ShutdownException):
        executor.spin()
