# SPDX-License-Identifier: Apache-2.0
"""Which depth frame belongs to an image: the one nearest in time, if it is near enough."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from sensor_msgs.msg import Image

# Depth frames kept for an image that has yet to be begun.
KEPT = 16
FAR_NS = 10**9
# Images that wait at the same time: depth may lag by as many images.
OPEN = 4


@dataclass(frozen=True)
class DepthCounts:
    """What became of the images that wanted depth, and the depth frames that did not fit one.

    Of the images without: `late` when the nearest depth frame was older than the image, `early`
    when it was newer, `missing` when there was none within a second.
    """

    received: int = 0
    matched: int = 0
    late: int = 0
    early: int = 0
    missing: int = 0
    unusable: int = 0

    def plus(self, **events: int) -> DepthCounts:
        """Return the counts with some of them raised."""
        return replace(self, **{name: getattr(self, name) + more for name, more in events.items()})


@dataclass(frozen=True)
class _Depth:
    stamp_ns: int
    message: Image


class DepthMatcher:
    """Keeps the last depth frames, and finds those of the last few images.

    A depth frame may come before its image, while that is segmented, or after. May be used from
    any thread.
    """

    def __init__(self, slop_s: float) -> None:
        """Match frames whose stamps differ by at most `slop_s` seconds."""
        self._lock = threading.Lock()
        self._kept: deque[_Depth] = deque(maxlen=KEPT)
        # The nearest depth so far of each image that is open, by its stamp, oldest first.
        self._open: dict[int, _Depth | None] = {}
        self._counts = DepthCounts()
        self.set_slop(slop_s)

    @property
    def counts(self) -> DepthCounts:
        """Totals since the start; an image is counted a few images after it was begun."""
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
            for image_ns in self._open:
                self._consider(image_ns, depth)

    def begin(self, image_ns: int) -> None:
        """Look for the depth of the image with this stamp from now on."""
        with self._lock:
            if image_ns in self._open:
                self._close(image_ns)
            elif len(self._open) == OPEN:
                self._close(next(iter(self._open)))
            self._open[image_ns] = None
            for depth in self._kept:
                self._consider(image_ns, depth)

    def find(self, image_ns: int) -> Image | None:
        """Return the depth of one of the images begun last; None while it is not here."""
        with self._lock:
            nearest = self._open.get(image_ns)
            return nearest.message if self._is_match(nearest, image_ns) else None

    def refuse(self) -> None:
        """Count a depth frame that cannot be used."""
        with self._lock:
            self._counts = self._counts.plus(unusable=1)

    def _consider(self, image_ns: int, depth: _Depth) -> None:
        nearest = self._open[image_ns]
        if nearest is None or (abs(depth.stamp_ns - image_ns) < abs(nearest.stamp_ns - image_ns)):
            self._open[image_ns] = depth

    def _is_match(self, depth: _Depth | None, image_ns: int) -> bool:
        return depth is not None and abs(depth.stamp_ns - image_ns) <= self._slop_ns

    def _close(self, image_ns: int) -> None:
        nearest = self._open.pop(image_ns)
        if self._counts.received:  # a camera without depth misses nothing
            self._counts = self._counts.plus(**{self._verdict(nearest, image_ns): 1})

    def _verdict(self, nearest: _Depth | None, image_ns: int) -> str:
        if self._is_match(nearest, image_ns):
            return 'matched'
        if nearest is None or abs(nearest.stamp_ns - image_ns) > FAR_NS:
            return 'missing'
        return 'early' if nearest.stamp_ns > image_ns else 'late'
