# SPDX-License-Identifier: Apache-2.0
"""The label sets of a camera, to find the one that a label image was made with."""

from __future__ import annotations

from collections import deque

from lseg_ros.labels import LabelSet

KEPT = 16


class TableHistory:
    """Keeps the last label sets of one camera. Not thread-safe."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept: deque[tuple[int, LabelSet]] = deque(maxlen=KEPT)  # with the stamp it holds from

    def add(self, since_ns: int, labels: LabelSet) -> None:
        """Keep labels that hold for images stamped at or after `since_ns`.

        A table that is only sent again, as for consumers that join, must not push out others.
        """
        if not self._kept or self._kept[-1] != (since_ns, labels):
            self._kept.append((since_ns, labels))

    def at(self, stamp_ns: int) -> LabelSet | None:
        """Return the last labels that hold for an image with this stamp; None if unknown.

        Those of images older than all tables are unknown. When the clock is set back, the
        segmentation node announces its labels again, for images from then on.
        """
        for since_ns, labels in reversed(self._kept):
            if since_ns <= stamp_ns:
                return labels
        return None
