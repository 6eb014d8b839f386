# SPDX-License-Identifier: Apache-2.0
"""Statistics of an image stream: totals since the start, recent rates and delays."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

WINDOW_S = 10.0


@dataclass(frozen=True)
class Percentiles:
    """Median and 95th percentile of a delay in milliseconds; NaN without measurements."""

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class StreamReport:
    """A snapshot of the statistics: totals, and rates (Hz) and delays of the last ten seconds."""

    received: int
    published: int
    dropped: int
    bad: int
    failed: int
    time_jumps: int
    last_problem: str
    input_rate: float
    output_rate: float
    latency: Percentiles
    processing: Percentiles


class StreamStatistics:
    """Counts the events of a stream; safe to use from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `clock` returns seconds and must not run backwards."""
        self._clock = clock
        self._lock = threading.Lock()
        self._start = self._last_arrival = clock()
        self._arrivals: deque[float] = deque()
        # Of each published frame: the time, its latency and its processing time.
        self._outputs: deque[tuple[float, float, float]] = deque()
        self._received = self._published = self._dropped = self._bad = self._failed = 0
        self._time_jumps = 0
        self._last_problem = ''

    def image_received(self) -> None:
        """Count an image from the camera."""
        with self._lock:
            self._received += 1
            self._last_arrival = self._clock()
            self._arrivals.append(self._last_arrival)

    def image_dropped(self) -> None:
        """Count an image replaced by a newer one."""
        with self._lock:
            self._dropped += 1

    def image_refused(self, problem: str) -> None:
        """Count an unusable image; `problem` says what is wrong with it."""
        with self._lock:
            self._bad += 1
            self._last_problem = problem

    def frame_failed(self, problem: str) -> None:
        """Count a frame that could not be segmented or published; `problem` says why."""
        with self._lock:
            self._failed += 1
            self._last_problem = problem

    def frame_published(self, latency_s: float, processing_s: float) -> None:
        """Count a published frame, with its age by its stamp and the time spent on it."""
        with self._lock:
            self._published += 1
            self._outputs.append((self._clock(), latency_s, processing_s))

    def time_ran_back(self) -> None:
        """Count an image stamped earlier than the last one segmented."""
        with self._lock:
            self._time_jumps += 1

    def seconds_since_image(self) -> float:
        """Return the seconds since the last image, or since `restart` if none has come."""
        with self._lock:
            return self._clock() - self._last_arrival

    def restart(self) -> None:
        """Measure rates and silence from now on, as the stream was just switched on."""
        with self._lock:
            self._arrivals.clear()
            self._outputs.clear()
            self._start = self._last_arrival = self._clock()

    def report(self) -> StreamReport:
        """Return totals, and rates and delays over the last ten seconds."""
        with self._lock:
            span = self._forget_old()
            return StreamReport(
                self._received,
                self._published,
                self._dropped,
                self._bad,
                self._failed,
                self._time_jumps,
                self._last_problem,
                len(self._arrivals) / span,
                len(self._outputs) / span,
                _percentiles([latency for _, latency, _ in self._outputs]),
                _percentiles([processing for _, _, processing in self._outputs]),
            )

    def _forget_old(self) -> float:
        """Drop events older than the window; return its length so far in seconds."""
        now = self._clock()
        while self._arrivals and self._arrivals[0] < now - WINDOW_S:
            self._arrivals.popleft()
        while self._outputs and self._outputs[0][0] < now - WINDOW_S:
            self._outputs.popleft()
        return min(WINDOW_S, max(now - self._start, 1.0))


def _percentiles(seconds: Sequence[float]) -> Percentiles:
    if not seconds:
        return Percentiles(float('nan'), float('nan'))
    p50, p95 = np.percentile(seconds, (50, 95))
    return Percentiles(1e3 * float(p50), 1e3 * float(p95))
