# SPDX-License-Identifier: Apache-2.0
"""A worker thread that takes the newest items, so that no camera waits for the network."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


class WorkerStopped(RuntimeError):
    """The worker was stopped before it could run a call."""


class Worker(Generic[Item]):
    """Processes the newest items offered to it, in batches, in its own thread.

    Each key has a slot for one waiting item, which a newer one replaces. A batch is whatever the
    slots hold when the thread is free: it waits for no key and skips none. An exception in
    `process` is passed to `on_error`, and the thread carries on.
    """

    def __init__(
        self, process: Callable[[Mapping[str, Item]], None], on_error: Callable[[Exception], None], name: str = 'worker'
    ) -> None:
        """Start the thread; `process` and `on_error` are called in it."""
        self._process = process
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: dict[str, Item] = {}
        self._period_s = 0.0
        self._last_batch = -float('inf')
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: Item, key: str = '') -> bool:
        """Put `item` into the slot of `key` for the next batch, without blocking.

        Return False if it replaces an older item.
        """
        with self._changed:
            is_first = key not in self._waiting
            self._waiting[key] = item
            self._changed.notify()
        return is_first

    def discard(self) -> None:
        """Empty the slots; a batch in progress continues."""
        with self._changed:
            self._waiting.clear()

    def set_period(self, seconds: float) -> None:
        """Set the least time between the starts of two batches; 0 is no limit."""
        with self._changed:
            self._period_s = min(seconds, threading.TIMEOUT_MAX)  # waiting for longer would raise
            self._changed.notify()

    def submit(self, function: Callable[[], Result]) -> Future[Result]:
        """Run `function` in the worker's thread before the next batch, without blocking.

        The future raises whatever `function` raises, or WorkerStopped if the worker stops first.
        Raise WorkerStopped if it has already stopped.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._stopping:
                raise WorkerStopped('the worker has been stopped')
            self._calls.append((future, function))
            self._changed.notify()
        return future

    def stop(self) -> None:
        """Finish the batch in progress and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (step := self._next_step()) is not None:
            step()
        self._refuse_calls()

    def _next_step(self) -> Callable[[], None] | None:
        """Wait for work and return it, calls before batches; None once the worker is stopped."""
        with self._changed:
            while not self._stopping:
                if self._calls:
                    future, function = self._calls.popleft()
                    return lambda: _resolve(future, function)
                if self._waiting and self._seconds_to_batch() <= 0:
                    return self._take_batch()
                self._changed.wait(self._seconds_to_batch() if self._waiting else None)
            return None

    def _seconds_to_batch(self) -> float:
        return self._last_batch + self._period_s - time.monotonic()

    def _take_batch(self) -> Callable[[], None]:
        batch, self._waiting = self._waiting, {}
        self._last_batch = time.monotonic()
        return lambda: self._process_batch(batch)

    def _process_batch(self, batch: Mapping[str, Item]) -> None:
        try:
            self._process(batch)
        except Exception as error:  # one failing batch must not stop the next
            self._report(error)

    def _report(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:
            logging.getLogger(__name__).exception('on_error failed while reporting %r', error)

    def _refuse_calls(self) -> None:
        with self._changed:
            for future, _ in self._calls:
                future.set_exception(WorkerStopped('the worker was stopped before this call'))
            self._calls.clear()


def _resolve(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
