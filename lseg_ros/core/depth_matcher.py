# SPDX-License-Identifier: Apache-2.0
"""Match depth frames to images: the nearest in time, if it is near enough."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Message = TypeVar('Message')

# Depth frames kept for images that have not begun yet.
KEPT = 16
FAR_NS = 10**9
# Images that wait at the same time; depth may lag behind by as many.
OPEN = 4


@dataclass(frozen=True)
class DepthCounts:
    """How many depth frames were `received` or `unusable`, and how many images found theirs.

    An image without a match is `late` if the nearest depth frame was older than the image, `early`
    if it was newer, and `missing` if there was none within a second.
    """

    received: int = 0
    matched: int = 0
    late: int = 0
    early: int = 0
    missing: int = 0
    unusable: int = 0

    def plus(self, **events: int) -> DepthCounts:
        """Return these counts with some of them increased."""
        return replace(self, **{name: getattr(self, name) + more for name, more in events.items()})


@dataclass(frozen=True)
class _Depth(Generic[Message]):
    stamp_ns: int
    message: Message


class DepthMatcher(Generic[Message]):
    """Keeps the last depth frames and finds those of the last few images.

    A depth frame may arrive before its image, while the image is segmented, or later. Of several
    that are equally near, the one that arrived last counts. Safe to use from any thread.
    """

    def __init__(self, slop_s: float) -> None:
        """Match frames whose stamps differ by at most `slop_s` seconds."""
        self._lock = threading.Lock()
        self._kept: deque[_Depth[Message]] = deque(maxlen=KEPT)
        # The nearest depth so far of each open image, by its stamp, oldest first.
        self._open: dict[int, _Depth[Message] | None] = {}
        self._counts = DepthCounts()
        self.set_slop(slop_s)

    @property
    def counts(self) -> DepthCounts:
        """Totals since the start; an image is counted a few images later."""
        with self._lock:
            return self._counts

    def set_slop(self, slop_s: float) -> None:
        """Change the greatest difference between stamps, in seconds."""
        with self._lock:
            self._slop_ns = round(slop_s * 1e9)

    def add(self, stamp_ns: int, message: Message) -> None:
        """Keep a depth frame; one older than the last discards those before it."""
        depth = _Depth(stamp_ns, message)
        with self._lock:
            if self._kept and stamp_ns < self._kept[-1].stamp_ns:
                self._kept.clear()
            self._kept.append(depth)
            self._counts = self._counts.plus(received=1)
            for image_ns in self._open:
                self._consider(image_ns, depth)

    def begin(self, image_ns: int) -> int | None:
        """Start looking for the depth of the image with this stamp.

        Return the stamp of the earlier image whose depth is no longer looked for, if any.
        """
        closed = None
        with self._lock:
            if image_ns in self._open:
                closed = image_ns
            elif len(self._open) == OPEN:
                closed = next(iter(self._open))
            if closed is not None:
                self._close(closed)
            self._open[image_ns] = None
            for depth in self._kept:
                self._consider(image_ns, depth)
        return closed

    def find(self, image_ns: int) -> Message | None:
        """Return the depth of one of the last images; None if it has not arrived."""
        with self._lock:
            nearest = self._open.get(image_ns)
            return nearest.message if nearest and self._is_match(nearest, image_ns) else None

    def refuse(self) -> None:
        """Count an unusable depth frame."""
        with self._lock:
            self._counts = self._counts.plus(unusable=1)

    def _consider(self, image_ns: int, depth: _Depth[Message]) -> None:
        nearest = self._open[image_ns]
        if nearest is None or abs(depth.stamp_ns - image_ns) <= abs(nearest.stamp_ns - image_ns):
            self._open[image_ns] = depth

    def _is_match(self, depth: _Depth[Message] | None, image_ns: int) -> bool:
        return depth is not None and abs(depth.stamp_ns - image_ns) <= self._slop_ns

    def _close(self, image_ns: int) -> None:
        nearest = self._open.pop(image_ns)
        if self._counts.received:  # otherwise the camera has no depth
            self._counts = self._counts.plus(**{self._verdict(nearest, image_ns): 1})

    def _verdict(self, nearest: _Depth[Message] | None, image_ns: int) -> str:
        if self._is_match(nearest, image_ns):
            return 'matched'
        if nearest is None or abs(nearest.stamp_ns - image_ns) > FAR_NS:
            return 'missing'
        return 'early' if nearest.stamp_ns > image_ns else 'late'
