# SPDX-License-Identifier: Apache-2.0
"""The modes of SetLabels."""

from __future__ import annotations

from collections.abc import Sequence

from lseg_ros.labels import LabelError, LabelRegistry, LabelSet
from lseg_ros.labels.syntax import quote
from lseg_ros.srv import SetLabels

REPLACE = SetLabels.Request.MODE_REPLACE
ADD = SetLabels.Request.MODE_ADD
REMOVE = SetLabels.Request.MODE_REMOVE


def change_labels(registry: LabelRegistry, mode: str, labels: Sequence[str]) -> LabelSet:
    """Change the labels of a registry; return the new set.

    `mode` is REPLACE, ADD or REMOVE; empty means REPLACE. Raise LabelError, naming what is at
    fault, if the change is refused.
    """
    changes = {'': registry.replace, REPLACE: registry.replace, ADD: registry.add, REMOVE: registry.remove}
    if mode not in changes:
        raise LabelError(f'unknown mode {quote(mode)}: use {REPLACE}, {ADD} or {REMOVE}')
    return changes[mode](labels)
