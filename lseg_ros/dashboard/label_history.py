# SPDX-License-Identifier: Apache-2.0
"""The label sets that the node had, so that a change can be undone, whoever made it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from lseg_ros.labels import LabelSet
from lseg_ros.labels.syntax import OTHER_NAME

MOST = 50


class LabelHistory:
    """The label sets of a node with their order, the present one last. Thread-safe.

    The node announces sets without their order, which becomes known a moment later.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._lock = threading.Lock()
        self._sets: tuple[LabelSet, ...] = ()
        self._is_order_known = False  # of the present set
        self._going_back_to: LabelSet | None = None

    def note(self, labels: LabelSet) -> None:
        """Take the set that the node has now; known labels are taken to stand as before."""
        with self._lock:
            expected = replace(labels, order=self._sets[-1].order if self._sets else ())
            labels = replace(labels, order=tuple(label.name for label in expected.in_order))
            earlier = self._going_back_to
            if earlier is not None and earlier.classes == labels.classes:
                self._going_back_to = None
                self._sets = self._sets[:-1]
            elif not self._sets or self._sets[-1].classes != labels.classes:
                self._sets = (*self._sets[1 - MOST :], labels)
            else:
                return
            self._is_order_known = False

    def note_order(self, names: Sequence[str]) -> None:
        """Take the order of the present labels; that of other labels is ignored.

        ``other`` comes first in the node's sets if it is not listed.
        """
        with self._lock:
            present = self._sets[-1] if self._sets else None
            if present is not None and OTHER_NAME in present.names and OTHER_NAME not in names:
                names = (OTHER_NAME, *names)
            if present is None or sorted(names) != sorted(present.names):
                return
            if tuple(names) != present.order:
                kept = self._sets[1 - MOST :] if self._is_order_known else self._sets[:-1]
                self._sets = (*kept, replace(present, order=tuple(names)))
            self._is_order_known = True

    def go_back(self) -> LabelSet | None:
        """Return the set before the last change, which is forgotten when the node has that set."""
        with self._lock:
            self._going_back_to = self.previous
            return self._going_back_to

    def stay(self) -> None:
        """Forget that `go_back` was called."""
        with self._lock:
            self._going_back_to = None

    @property
    def current(self) -> LabelSet | None:
        """The present set; None before the first."""
        return self._sets[-1] if self._sets else None

    @property
    def previous(self) -> LabelSet | None:
        """The set before the last change; None if no change was seen."""
        return self._sets[-2] if len(self._sets) > 1 else None
