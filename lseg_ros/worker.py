# SPDX-License-Identifier: Apache-2.0
"""A newest-wins slot in front of one thread: a camera is never made to wait for the network."""
from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


class WorkerStopped(RuntimeError):
    """The worker was stopped before it could do what was asked."""


class Worker(Generic[Item]):
    """Processes the newest item offered to it, one at a time, in a thread of its own.

    The slot holds one waiting item: a newer one takes its place, and the older counts as dropped.
    An exception in `process` is counted and handed to `on_error`; the thread lives on.
    """

    def __init__(self, process: Callable[[Item], None],
                 on_error: Callable[[Exception], None], name: str = 'worker') -> None:
        """Start the thread; `process` and `on_error` are called in it."""
        self._process = process
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: Item | None = None
        self._calls: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._stopping = False
        self._dropped = 0
        self._failed = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many items were replaced by a newer one before their turn came."""
        return self._dropped

    @property
    def failed(self) -> int:
        """How many items raised an exception while they were processed."""
        return self._failed

    def offer(self, item: Item) -> None:
        """Make `item` the next to be processed; returns at once."""
        with self._changed:
            if self._waiting is not None:
                self._dropped += 1
            self._waiting = item
            self._changed.notify()

    def discard(self) -> None:
        """Empty the slot; an item that is being processed is not disturbed."""
        with self._changed:
            self._waiting = None

    def submit(self, function: Callable[[], Result]) -> Future[Result]:
        """Run `function` in the worker's thread before the next item; returns at once.

        The future raises what `function` raises, and WorkerStopped when the worker stops before
        its turn. Raises WorkerStopped when it has stopped already.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._stopping:
                raise WorkerStopped('the worker has been stopped')
            self._calls.append((future, function))
            self._changed.notify()
        return future

    def stop(self) -> None:
        """Let the item in progress finish, end the thread and wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (step := self._next_step()) is not None:
            step()
        self._refuse_calls()

    def _next_step(self) -> Callable[[], None] | None:
        """Wait for something to do; calls go before items. None when it is time to end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._calls or self._waiting is not None)
            if self._stopping:
                return None
            if self._calls:
                future, function = self._calls.popleft()
                return lambda: _resolve(future, function)
            item, self._waiting = self._waiting, None
            return lambda: self._process_one(item)

    def _process_one(self, item: Item) -> None:
        try:
            self._process(item)
        except Exception as error:  # whatever one item does, the next gets its turn
            self._failed += 1
            self._report(error)

    def _report(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:
            logging.getLogger(__name__).exception('on_error failed while it reported %r', error)

    def _refuse_calls(self) -> None:
        with self._changed:
            for future, _ in self._calls:
                future.set_exception(WorkerStopped('the worker was stopped meanwhile'))
            self._calls.clear()


def _resolve(future: Future, function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
