# SPDX-License-Identifier: Apache-2.0
"""Spin a node: an executor that bad messages do not end, and spinning in the background."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.task import Task


class EnduringExecutor(SingleThreadedExecutor):
    """A SingleThreadedExecutor that no message or request from elsewhere can end.

    An exception that one of them causes, whether in a callback or while rclpy takes or answers
    it, is logged. Exceptions of timers and other callbacks are raised as usual.
    """

    def wait_for_ready_callbacks(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """Return the next task, what it belongs to, and the node."""
        task, entity, node = super().wait_for_ready_callbacks(*args, **kwargs)
        if isinstance(entity, Service):
            task = _LoggedTask(task, node, entity.srv_name)
        elif isinstance(entity, Subscription):
            task = _LoggedTask(task, node, entity.topic_name)
        return task, entity, node


class _LoggedTask:
    """A task of rclpy that logs its exception instead of raising it."""

    def __init__(self, task: Task, node: Node, name: str) -> None:
        self._task = task
        self._node = node
        self._name = name

    def __call__(self) -> None:
        self._task()
        error = self._task.exception()
        if error is not None and self._node.context.ok():  # otherwise the process is ending
            logger = self._node.get_logger()
            logger.error(f'{self._name} failed: {type(error).__name__}: {error}')
            logger.debug(''.join(traceback.format_exception(error)))

    def exception(self) -> None:
        """Return no exception."""

    def result(self) -> None:
        """Raise no exception."""


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Spin `node` in a thread of its own until the block ends; the caller destroys the node."""
    executor = EnduringExecutor(context=node.context)
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
