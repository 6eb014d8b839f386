# SPDX-License-Identifier: Apache-2.0
"""What a label image says: the share and confidence of each class, and the class of a pixel."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lseg_ros.labels import LabelClass, LabelSet
from lseg_ros.labels.ids import UNLABELLED

STALE_S = 3.0  # what is older is said to be old
UNLABELLED_CLASS = LabelClass(UNLABELLED, 'unlabelled', (), (0, 0, 0))


@dataclass(frozen=True)
class ClassShare:
    """The share of the pixels that a class has, and its mean confidence there, both 0 to 1."""

    label: LabelClass
    share: float
    confidence: float


@dataclass(frozen=True)
class Pixel:
    """The class of a pixel and its confidence, 0 to 1; `u` counts columns, `v` rows."""

    u: int
    v: int
    label: LabelClass
    confidence: float


@dataclass(frozen=True)
class Reading:
    """A label image with its confidence, both uint8 [H, W], and the table that names its ids.

    `arrived_s` is when it came, by time.monotonic.
    """

    stamp_ns: int
    ids: np.ndarray
    confidence: np.ndarray
    labels: LabelSet
    arrived_s: float = field(default_factory=time.monotonic)

    @property
    def old(self) -> str:
        """How old it is, such as "12 s old"; empty while that is not worth saying."""
        age = time.monotonic() - self.arrived_s
        return f'{age:.0f} s old' if age > STALE_S else ''

    @cached_property
    def shares(self) -> tuple[ClassShare, ...]:
        """The classes in the image, the largest first."""
        counts = np.bincount(self.ids.ravel(), minlength=256)
        sums = np.bincount(self.ids.ravel(), self.confidence.ravel(), minlength=256)
        return tuple(
            ClassShare(self.label(int(i)), counts[i] / self.ids.size, sums[i] / counts[i] / 255)
            for i in np.argsort(-counts, kind='stable')
            if counts[i]
        )

    def at(self, x: float, y: float) -> Pixel:
        """Return the pixel at a place in the image, both coordinates 0 to 1 from the top left."""
        height, width = self.ids.shape
        u, v = (min(max(int(place * size), 0), size - 1) for place, size in ((x, width), (y, height)))
        return Pixel(u, v, self.label(int(self.ids[v, u])), float(self.confidence[v, u]) / 255)

    def label(self, class_id: int) -> LabelClass:
        """Return the class with this id; for an id without one, a class that says so."""
        if class_id == UNLABELLED:
            return UNLABELLED_CLASS
        try:
            return self.labels.by_id(class_id)
        except KeyError:
            return LabelClass(class_id, f'id {class_id}', (), (0, 0, 0))


class FrameMatcher:
    """Collects the messages of several topics that have the same stamp.

    Only the newest few stamps are kept, as messages may be lost.
    """

    def __init__(self, *topics: Hashable, most: int = 8) -> None:
        """Wait for a message of each of the `topics`."""
        self._topics = frozenset(topics)
        self._most = most
        self._frames: dict[int, dict[Hashable, Any]] = {}

    def add(self, topic: Hashable, stamp_ns: int, message: Any) -> dict[Hashable, Any] | None:
        """Keep a message; return those of its stamp, by topic, if this one completes them."""
        frame = self._frames.setdefault(stamp_ns, {})
        frame[topic] = message
        if frame.keys() >= self._topics:
            return self._frames.pop(stamp_ns)
        while len(self._frames) > self._most:
            del self._frames[next(iter(self._frames))]
        return None
