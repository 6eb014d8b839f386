# SPDX-License-Identifier: Apache-2.0
"""Which depth frame belongs to an image: the one nearest in time, if it is near enough."""
from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from sensor_msgs.msg import Image

# Depth frames kept for an image that has yet to be begun.
KEPT = 16


@dataclass(frozen=True)
class DepthCounts:
    """What became of the images that wanted depth, and the depth frames that did not fit one.

    Of the images without: `late` when all depth frames were older than the image, `early` when all
    were newer, `missing` when there were none, or only some on both sides of it.
    """

    received: int = 0
    matched: int = 0
    late: int = 0
    early: int = 0
    missing: int = 0
    unusable: int = 0

    def plus(self, **events: int) -> DepthCounts:
        """Return the counts with some of them raised."""
        return replace(self, **{name: getattr(self, name) + more
                                for name, more in events.items()})


@dataclass(frozen=True)
class _Depth:
    stamp_ns: int
    message: Image


class DepthMatcher:
    """Keeps the last depth frames, and finds the one for the image in work.

    The frame may come before the image, while it is segmented, or after. May be used from any
    thread.
    """

    def __init__(self, slop_s: float) -> None:
        """Match frames whose stamps differ by at most `slop_s` seconds."""
        self._slop_ns = round(slop_s * 1e9)
        self._lock = threading.Lock()
        self._kept: deque[_Depth] = deque(maxlen=KEPT)
        self._awaited_ns: int | None = None
        self._best: _Depth | None = None
        self._counts = DepthCounts()

    @property
    def counts(self) -> DepthCounts:
        """Totals since the start."""
        return self._counts

    def set_slop(self, slop_s: float) -> None:
        """Allow this difference in seconds from now on."""
        with self._lock:
            self._slop_ns = round(slop_s * 1e9)

    def add(self, stamp_ns: int, message: Image) -> None:
        """Keep a depth frame; one that is older than the last starts the time line anew."""
        depth = _Depth(stamp_ns, message)
        with self._lock:
            if self._kept and stamp_ns < self._kept[-1].stamp_ns:
                self._kept.clear()
            self._kept.append(depth)
            self._counts = self._counts.plus(received=1)
            self._consider(depth)

    def begin(self, stamp_ns: int) -> None:
        """Look for the depth of the image with this stamp from now on, and close the last case."""
        with self._lock:
            self._close_case()
            self._awaited_ns, self._best = stamp_ns, None
            for depth in self._kept:
                self._consider(depth)

    def find(self, stamp_ns: int) -> Image | None:
        """Return the depth of the image with this stamp, the one begun last; None: not here yet."""
        with self._lock:
            if self._best is None or stamp_ns != self._awaited_ns:
                return None
            return self._best.message

    def refuse(self) -> None:
        """Count a depth frame that was found but cannot be used."""
        with self._lock:
            self._counts = self._counts.plus(unusable=1)

    def _consider(self, depth: _Depth) -> None:
        if self._awaited_ns is None:
            return
        distance = abs(depth.stamp_ns - self._awaited_ns)
        best = self._slop_ns if self._best is None else abs(
            self._best.stamp_ns - self._awaited_ns) - 1
        if distance <= best:
            self._best = depth

    def _close_case(self) -> None:
        # A camera without depth misses nothing.
        if self._awaited_ns is None or not self._counts.received:
            return
        self._counts = self._counts.plus(**{self._verdict(): 1})

    def _verdict(self) -> str:
        if self._best is not None:
            return 'matched'
        sides = {depth.stamp_ns > self._awaited_ns for depth in self._kept}
        if len(sides) != 1:
            return 'missing'
        return 'early' if sides.pop() else 'late'
