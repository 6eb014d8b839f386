# SPDX-License-Identifier: Apache-2.0
"""How a coroutine of the executor waits for the work of another thread."""

from __future__ import annotations

from concurrent.futures import Future as Job

from rclpy.node import Node
from rclpy.task import Future


def end_of(node: Node, job: Job) -> Future:
    """Return what a service of `node` may await until `job`, of another thread, is done."""
    executor = node.executor
    end = Future(executor=executor)

    def wake(_: Job) -> None:
        end.set_result(None)
        executor.wake()

    job.add_done_callback(wake)
    return end
