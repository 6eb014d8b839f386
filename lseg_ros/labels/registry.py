# SPDX-License-Identifier: Apache-2.0
"""Assigns ids to labels and keeps them stable while the labels change."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType

from lseg_ros.labels.colors import class_color
from lseg_ros.labels.ids import MAX_LABELS, OTHER
from lseg_ros.labels.label_set import LabelClass, LabelSet
from lseg_ros.labels.syntax import (
    MAX_GROUPS,
    OTHER_NAME,
    LabelError,
    parse_group,
    parse_label,
    parse_labels,
    quote,
    topic_name,
)

# Encoding as many prompts of the greatest length takes a minute on two cores.
MAX_PROMPTS = 2048
NO_GROUPS: Mapping[str, Sequence[str]] = MappingProxyType({})


class LabelRegistry:
    """Assigns ids to names and makes the LabelSet after each change.

    A name keeps its id and its groups while it is in use, and gets both back when it returns,
    unless its id had to be reused: ids never used come first, then the one free for longest.
    A call that raises LabelError changes nothing. Not thread-safe: the caller serialises the calls.

    Every change takes `groups`, the names of the members of each group that is to change: exactly
    these labels are in the group then, and without any there is no such group.

    With `include_other`, every set has id 0, ``other``, with `other_prompts`. A label named
    ``other`` replaces those prompts, or adds ``other`` to a set without it.
    """

    def __init__(
        self, *, include_other: bool = True, other_prompts: Sequence[str] = (OTHER_NAME,), max_id: int = MAX_LABELS
    ) -> None:
        """Start without labels; ids are 1 to `max_id`."""
        if not 1 <= max_id <= MAX_LABELS:
            raise ValueError(f'max_id must be 1..{MAX_LABELS}, not {max_id}')
        self._max_id = max_id
        self._default = dict([parse_label(f'{OTHER_NAME}={"|".join(other_prompts)}')]) if include_other else {}
        self._current: LabelSet | None = None
        # Every name that owns an id. Those not in use are in the order in which they were freed.
        self._owners: dict[str, int] = {}
        self._groups: dict[str, tuple[str, ...]] = {}  # of each name that owns an id, and of `other`

    @classmethod
    def of(cls, labels: LabelSet) -> LabelRegistry:
        """Return a registry whose names have the ids and groups that they have in `labels`."""
        registry = cls()
        registry._current = labels
        registry._owners = {label.name: label.id for label in labels.classes if label.id != OTHER}
        registry._groups = {label.name: label.groups for label in labels.classes if label.groups}
        return registry

    @property
    def current(self) -> LabelSet | None:
        """The LabelSet after the last successful call; None before the first."""
        return self._current

    def replace(self, labels: Sequence[str], groups: Mapping[str, Sequence[str]] = NO_GROUPS) -> LabelSet:
        """Replace all labels; return the new set."""
        return self._accept(self._default | dict(parse_labels(labels)), groups)

    def add(self, labels: Sequence[str], groups: Mapping[str, Sequence[str]] = NO_GROUPS) -> LabelSet:
        """Add `labels`, or change the prompts of those in the set; return the new set."""
        return self._accept(self._asked() | dict(parse_labels(labels)), groups)

    def regroup(self, groups: Mapping[str, Sequence[str]]) -> LabelSet:
        """Change the members of groups and nothing else; return the new set."""
        return self._accept(self._asked(), groups)

    def remove(self, labels: Sequence[str], groups: Mapping[str, Sequence[str]] = NO_GROUPS) -> LabelSet:
        """Remove `labels` by name, ignoring their prompts; return the new set."""
        remaining = self._asked()
        for name, _ in parse_labels(labels):
            if name not in remaining:
                known = ', '.join(map(quote, remaining)) or 'nothing'
                raise LabelError(f'label {quote(name)} is not in the set; it has {known}')
            if name in self._default:
                raise LabelError(f'label {quote(name)} cannot be removed while include_other is on')
            del remaining[name]
        return self._accept(remaining, groups)

    def with_no_other(self, groups: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Return `groups` and, without members, every other group that a name has."""
        return {group: () for present in self._groups.values() for group in present} | dict(groups)

    def _asked(self) -> dict[str, tuple[str, ...]]:
        if self._current is None:
            return dict(self._default)
        return {label.name: label.prompts for label in self._current.in_order}

    def _accept(self, asked: dict[str, tuple[str, ...]], changed: Mapping[str, Sequence[str]]) -> LabelSet:
        groups = _regrouped(self._groups, changed, asked)
        names = [name for name in asked if name != OTHER_NAME]
        self._check_count(names)
        _check_prompts(asked)
        _check_topics(tuple(asked), groups)
        owners = self._assign(names)
        ids = owners | {OTHER_NAME: OTHER}
        classes = (
            LabelClass(ids[name], name, prompts, class_color(ids[name]), groups.get(name, ()))
            for name, prompts in asked.items()
        )
        retired = sorted((owned, name) for name, owned in owners.items() if name not in asked)
        in_order_of_ids = tuple(sorted(classes, key=lambda label: label.id))
        self._current = LabelSet(in_order_of_ids, tuple(retired), tuple(asked))
        self._owners = owners
        self._groups = {name: present for name, present in groups.items() if name in ids}
        return self._current

    def _check_count(self, names: Sequence[str]) -> None:
        if not names:
            raise LabelError(f'the set would be empty: it needs a label besides {OTHER_NAME!r}')
        if len(names) > self._max_id:
            raise LabelError(
                f'{len(names)} labels are too many, from {quote(names[self._max_id])} on; at most {self._max_id}'
            )

    def _assign(self, names: Sequence[str]) -> dict[str, int]:
        """Return the owners of ids once `names` are in use, the longest free first."""
        in_use = self._current.names if self._current else ()
        by_age = sorted(self._owners.items(), key=lambda owner: owner[0] in in_use)
        freed = {name: i for name, i in by_age if name not in names}
        used = {name: self._owners[name] for name in names if name in self._owners}
        never_used = iter(sorted(set(range(1, self._max_id + 1)) - set(self._owners.values())))
        for name in names:
            if name not in used:
                used[name] = next(never_used, None) or freed.pop(next(iter(freed)))
        return freed | used


def _check_prompts(asked: Mapping[str, Sequence[str]]) -> None:
    counts = dict(zip(asked, accumulate(map(len, asked.values()))))
    if too_many := [name for name, count in counts.items() if count > MAX_PROMPTS]:
        raise LabelError(
            f'{max(counts.values())} prompts are too many, from label {quote(too_many[0])} on; at most {MAX_PROMPTS}'
            ' in all'
        )


def _regrouped(
    groups: Mapping[str, Sequence[str]], changed: Mapping[str, Sequence[str]], names: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Return the groups of each name, sorted, once the `changed` ones have other members."""
    changing = {parse_group(group) for group in changed}
    found = {name: set(present) - changing for name, present in groups.items()}
    for group, members in changed.items():
        for member in members:
            name, _ = parse_label(member)
            if name not in names:
                raise LabelError(f'group {quote(group)} has {quote(member)}, which is not among the labels')
            found.setdefault(name, set()).add(parse_group(group))
    return {name: tuple(sorted(present)) for name, present in found.items() if present}


def _check_topics(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
    """Raise LabelError if two masks, of labels or of groups in use, would share a topic."""
    in_use = dict.fromkeys(group for name in names for group in groups.get(name, ()))
    if len(in_use) > MAX_GROUPS:
        raise LabelError(f'{len(in_use)} groups are too many; at most {MAX_GROUPS}')
    masks = [('label', name) for name in (OTHER_NAME, *names)]
    owners: dict[str, tuple[str, str]] = {}
    for kind, name in (*masks, *(('group', group) for group in in_use)):
        earlier_kind, earlier = owners.setdefault(topic_name(name), (kind, name))
        if (earlier_kind, earlier) != (kind, name):
            raise LabelError(
                f'{kind} {quote(name)} and {earlier_kind} {quote(earlier)} would share the '
                f'topic masks/{topic_name(name)}; rename one'
            )
