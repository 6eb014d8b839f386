# SPDX-License-Identifier: Apache-2.0
"""Logs problems that may come with every image, without flooding the log."""

from __future__ import annotations

import re
import threading
import time

from rclpy.node import Node

PERIOD_S = 5.0
MOST = 16  # of different problems in a period
_NUMBER = re.compile(r'\b\d+(\.\d+)?\b')


class ProblemLog:
    """Warns of each problem once in PERIOD_S, so that none hides another.

    Problems that differ only in numbers count as the same. Beyond MOST of them in one period,
    further ones are not logged. Any thread may use it.
    """

    def __init__(self, node: Node) -> None:
        """Log to the logger of `node`."""
        self._context = node.context
        self._logger = node.get_logger()
        self._lock = threading.Lock()
        self._logged_at: dict[str, float] = {}

    def warn(self, problem: str) -> None:
        """Log `problem` as a warning, unless it was a moment ago or the process is ending."""
        is_ending = not self._context.ok()  # which makes publishing fail
        if not is_ending and self._is_due(_NUMBER.sub('#', problem)):
            self._logger.warning(problem)

    def _is_due(self, kind: str) -> bool:
        now = time.monotonic()
        with self._lock:
            recent = {each: when for each, when in self._logged_at.items() if now < when + PERIOD_S}
            is_due = kind not in recent and len(recent) < MOST
            self._logged_at = recent | {kind: now} if is_due else recent
        return is_due
