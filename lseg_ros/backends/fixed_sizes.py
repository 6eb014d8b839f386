# SPDX-License-Identifier: Apache-2.0
"""Compile a network again, in the background, for the image sizes that keep coming."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

ENOUGH = 30  # images of a shape before it is worth the time
MOST = 4  # shapes; each needs memory of its own, and a robot has few cameras

Run = TypeVar('Run')
Shape = tuple[int, ...]


class FixedSizes(Generic[Run]):
    """Finds what runs batches of one shape; the first `MOST` that come `ENOUGH` times get it.

    Only one thread may call `find`.
    """

    def __init__(self, compile_for: Callable[[Shape], Run]) -> None:
        """Use `compile_for`, in a thread of its own, to make what runs batches of a shape."""
        self._compile_for = compile_for
        self._seen: Counter[Shape] = Counter()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='compile')
        self.jobs: dict[Shape, Future[Run | None]] = {}

    def find(self, shape: Shape) -> Run | None:
        """Count a batch of this shape; return what runs it, or None if there is nothing (yet)."""
        if job := self.jobs.get(shape):
            return job.result() if job.done() else None
        if len(self.jobs) < MOST:
            self._seen[shape] += 1
            if self._seen[shape] >= ENOUGH:
                self.jobs[shape] = self._thread.submit(self._compile, shape)
                self._seen.clear()  # or sizes that never come again would pile up
        return None

    def _compile(self, shape: Shape) -> Run | None:
        try:
            return self._compile_for(shape)
        except Exception as error:  # whatever runs every shape goes on doing so
            logging.getLogger(__name__).warning('no network for batches of %s alone: %s', list(shape), error)
            return None
