# SPDX-License-Identifier: Apache-2.0
"""How a service handler waits, in the executor, for work done in another thread."""

from __future__ import annotations

from concurrent.futures import Future as Job
from typing import Any

from rclpy.node import Node
from rclpy.task import Future


def end_of(node: Node, job: Job[Any]) -> Future[None]:
    """Return a future that a service handler of `node` may await until `job` is done.

    Awaiting it never raises: ask `job` for its exception.
    """
    executor = node.executor
    assert executor is not None  # it is running the handler
    end: Future[None] = Future(executor=executor)

    def wake(_: Job[Any]) -> None:
        end.set_result(None)
        executor.wake()

    job.add_done_callback(wake)
    return end
