# SPDX-License-Identifier: Apache-2.0
"""Newest-wins slots in front of one thread: a camera is never made to wait for the network."""

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
    """The worker was stopped before it could do what was asked."""


class Worker(Generic[Item]):
    """Processes the newest items offered to it, in batches, in a thread of its own.

    Each key has a slot for one waiting item, and a newer one takes its place. A batch is whatever
    the slots hold when the thread is free: it waits for no key, and no key is passed over. An
    exception in `process` is handed to `on_error`; the thread lives on.
    """

    def __init__(
        self,
        process: Callable[[Mapping[str, Item]], None],
        on_error: Callable[[Exception], None],
        name: str = 'worker',
    ) -> None:
        """Start the thread; `process` and `on_error` are called in it."""
        self._process = process
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: dict[str, Item] = {}
        self._period_s = 0.0
        self._last_batch = -float('inf')
        self._calls: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: Item, key: str = '') -> bool:
        """Put `item` into the slot of `key` for the next batch; returns at once.

        The result is False when an older item had to give way.
        """
        with self._changed:
            is_first = key not in self._waiting
            self._waiting[key] = item
            self._changed.notify()
        return is_first

    def discard(self) -> None:
        """Empty the slots; a batch that is being processed is not disturbed."""
        with self._changed:
            self._waiting.clear()

    def set_period(self, seconds: float) -> None:
        """Let at least this time pass between the starts of two batches; 0: no limit."""
        with self._changed:
            self._period_s = seconds
            self._changed.notify()

    def submit(self, function: Callable[[], Result]) -> Future[Result]:
        """Run `function` in the worker's thread before the next batch; returns at once.

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
        """Let the batch in progress finish, end the thread and wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (step := self._next_step()) is not None:
            step()
        self._refuse_calls()

    def _next_step(self) -> Callable[[], None] | None:
        """Wait for something to do; calls go before batches. None when it is time to end."""
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
        except Exception as error:  # whatever one batch does, the next gets its turn
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
