# SPDX-License-Identifier: Apache-2.0
"""The label sets that the node had, so that a change can be undone, whoever made it."""

from __future__ import annotations

from lseg_ros.labels import LabelSet

MOST = 50


class LabelHistory:
    """The label sets of a node, the present one last."""

    def __init__(self) -> None:
        """Start without any."""
        self._sets: tuple[LabelSet, ...] = ()
        self._going_back_to: LabelSet | None = None

    def note(self, labels: LabelSet) -> None:
        """Take the set that the node has now."""
        earlier, self._going_back_to = self._going_back_to, None
        if earlier is not None and earlier.classes == labels.classes:
            self._sets = self._sets[:-1]
        elif not self._sets or self._sets[-1].classes != labels.classes:
            self._sets = (*self._sets[1 - MOST :], labels)

    def go_back(self) -> LabelSet | None:
        """Return the set before the last change, which is forgotten when the node has that set."""
        self._going_back_to = self.previous
        return self._going_back_to

    @property
    def current(self) -> LabelSet | None:
        """The present set; None before the first."""
        return self._sets[-1] if self._sets else None

    @property
    def previous(self) -> LabelSet | None:
        """The set before the last change; None if no change was seen."""
        return self._sets[-2] if len(self._sets) > 1 else None
