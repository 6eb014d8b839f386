# SPDX-License-Identifier: Apache-2.0
"""Saves a changed map from time to time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from lseg_ros.error_text import one_line
from lseg_ros.nodes.map.map_worker import MapWorker


class Autosave:
    """Writes a map to its `map_file` if it has changed, one save at a time."""

    def __init__(self, worker: MapWorker, on_problem: Callable[[str], None]) -> None:
        """Save the map of `worker`; `on_problem` is called with why a save failed."""
        self.problem = ''  # why the last save failed, or empty
        self._worker = worker
        self._on_problem = on_problem
        self._job: Future[int] | None = None

    def save_changes(self) -> None:
        """Start to save, unless nothing has changed or a save is under way."""
        if self._worker.unsaved and (self._job is None or self._job.done()):
            self._job = self._worker.run(lambda: self._worker.save(''))
            self._job.add_done_callback(self._report)

    def _report(self, job: Future[int]) -> None:
        if job.cancelled():
            return
        error = job.exception()
        self.problem = f'map not saved: {one_line(error)}' if error else ''
        if error:
            self._on_problem(self.problem)
