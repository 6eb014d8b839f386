# SPDX-License-Identifier: Apache-2.0
"""The modes of SetLabels."""

from __future__ import annotations

from collections.abc import Sequence

from lseg_ros.labels import LabelError, LabelRegistry, LabelSet
from lseg_ros.labels.syntax import EVERY_OTHER_GROUP, parse_groups, quote
from lseg_ros.srv import SetLabels

REPLACE = SetLabels.Request.MODE_REPLACE
ADD = SetLabels.Request.MODE_ADD
REMOVE = SetLabels.Request.MODE_REMOVE


def change_labels(registry: LabelRegistry, mode: str, labels: Sequence[str], groups: Sequence[str] = ()) -> LabelSet:
    """Change the labels of a registry, and the `groups` given; return the new set.

    `mode` is REPLACE, ADD or REMOVE; empty means REPLACE. Without labels, but with groups, only
    these change; ``*=`` ends every group that is not given. Raise LabelError, naming what is at
    fault, if the change is refused.
    """
    changes = {'': registry.replace, REPLACE: registry.replace, ADD: registry.add, REMOVE: registry.remove}
    if mode not in changes:
        raise LabelError(f'unknown mode {quote(mode)}: use {REPLACE}, {ADD} or {REMOVE}')
    members: dict[str, Sequence[str]] = dict(parse_groups(groups))
    if EVERY_OTHER_GROUP in members:
        if members.pop(EVERY_OTHER_GROUP):
            raise LabelError("group '*' stands for every group that is not given and has no members; write '*='")
        members = registry.with_no_other(members)
    return changes[mode](labels, members) if labels or not groups else registry.regroup(members)
