# SPDX-License-Identifier: Apache-2.0
"""Assigns ids to labels and keeps them stable while the labels change."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from lseg_ros.labels.colors import class_color
from lseg_ros.labels.ids import MAX_LABELS, OTHER
from lseg_ros.labels.label_set import LabelClass, LabelSet
from lseg_ros.labels.syntax import (
    OTHER_NAME,
    LabelError,
    parse_group,
    parse_label,
    parse_labels,
    quote,
    topic_name,
)


class LabelRegistry:
    """Gives names their ids, for as long as it lives, and makes the LabelSet after each change.

    A name keeps its id while it is in use and gets it back when it returns, unless the id had to
    be given away: ids never used come first, then the one that has been free longest.  A call that
    raises LabelError changes nothing.  Not thread-safe: the caller serialises the calls.

    A name keeps its groups, too, until `replace` is given others; a name that returns gets them
    back.

    `include_other` puts id 0, ``other``, into every set with `other_prompts`; a label named
    ``other`` changes its prompts, and switches it on where it is not included.
    """

    def __init__(
        self,
        *,
        include_other: bool = True,
        other_prompts: Sequence[str] = (OTHER_NAME,),
        max_id: int = MAX_LABELS,
    ) -> None:
        """Start without labels; ids run from 1 to `max_id` (1..254)."""
        if not 1 <= max_id <= MAX_LABELS:
            raise ValueError(f'max_id must be 1..{MAX_LABELS}, not {max_id}')
        self._max_id = max_id
        self._default = (
            dict([parse_label(f'{OTHER_NAME}={"|".join(other_prompts)}')]) if include_other else {}
        )
        self._current: LabelSet | None = None
        # Every name that owns an id; those not in use stand in the order in which they were freed.
        self._owners: dict[str, int] = {}
        self._groups: dict[str, tuple[str, ...]] = {}  # of each name, in use or not

    @property
    def current(self) -> LabelSet | None:
        """The LabelSet of the last accepted call; None before the first."""
        return self._current

    def replace(
        self, labels: Sequence[str], groups: Mapping[str, Sequence[str]] | None = None
    ) -> LabelSet:
        """Make `labels` the whole set; return it.

        `groups` are the names of the members of each group, in place of the groups before; None
        keeps those.
        """
        asked = self._default | dict(parse_labels(labels))
        return self._accept(asked, None if groups is None else _groups_of_names(groups, asked))

    def add(self, labels: Sequence[str]) -> LabelSet:
        """Add `labels` to the set; a name that it has already takes the new prompts."""
        return self._accept(self._asked() | dict(parse_labels(labels)))

    def remove(self, labels: Sequence[str]) -> LabelSet:
        """Take `labels` out of the set, by name; prompts are ignored."""
        remaining = self._asked()
        for name, _ in parse_labels(labels):
            if name not in remaining:
                known = ', '.join(map(quote, remaining)) or 'nothing'
                raise LabelError(f'label {quote(name)} is not in the set, which has {known}')
            if name in self._default:
                raise LabelError(f'label {quote(name)} stays while include_other is on')
            del remaining[name]
        return self._accept(remaining)

    def _asked(self) -> dict[str, tuple[str, ...]]:
        if self._current is None:
            return dict(self._default)
        return {label.name: label.prompts for label in self._current.classes}

    def _accept(
        self, asked: dict[str, tuple[str, ...]], groups: dict[str, tuple[str, ...]] | None = None
    ) -> LabelSet:
        groups = self._groups if groups is None else groups
        names = [name for name in asked if name != OTHER_NAME]
        self._check(names)
        _check_groups(asked, groups)
        owners = self._assign(names)
        ids = owners | {OTHER_NAME: OTHER}
        classes = (
            LabelClass(ids[name], name, prompts, class_color(ids[name]), groups.get(name, ()))
            for name, prompts in asked.items()
        )
        self._current = LabelSet(tuple(sorted(classes, key=lambda label: label.id)))
        self._owners, self._groups = owners, groups
        return self._current

    def _check(self, names: Sequence[str]) -> None:
        if not names:
            raise LabelError(f'the set would be empty: it needs a label besides {OTHER_NAME!r}')
        if len(names) > self._max_id:
            raise LabelError(
                f'{len(names)} labels, the first too many is '
                f'{quote(names[self._max_id])}; at most {self._max_id}'
            )
        tokens = {topic_name(OTHER_NAME): OTHER_NAME}
        for name in names:
            earlier = tokens.setdefault(topic_name(name), name)
            if earlier != name:
                raise LabelError(
                    f'labels {quote(earlier)} and {quote(name)} would share the '
                    f'topic masks/{topic_name(name)}; rename one'
                )

    def _assign(self, names: Sequence[str]) -> dict[str, int]:
        """Return the owners of ids once `names` are in use: the free ones first, oldest first."""
        freed = {name: i for name, i in self._freed_order() if name not in names}
        used = {name: self._owners[name] for name in names if name in self._owners}
        never_used = iter(sorted(set(range(1, self._max_id + 1)) - set(self._owners.values())))
        for name in names:
            if name not in used:
                used[name] = next(never_used, None) or freed.pop(next(iter(freed)))
        return freed | used

    def _freed_order(self) -> Iterable[tuple[str, int]]:
        in_use = self._current.names if self._current else ()
        yield from ((name, i) for name, i in self._owners.items() if name not in in_use)
        yield from ((name, i) for name, i in self._owners.items() if name in in_use)


def _groups_of_names(
    groups: Mapping[str, Sequence[str]], names: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Return the groups of each name, from the names in each group."""
    found: dict[str, tuple[str, ...]] = {}
    for group, members in groups.items():
        cleaned = parse_group(group)
        for member in members:
            name, _ = parse_label(member)
            if name not in names:
                raise LabelError(
                    f'group {quote(group)} has {quote(member)}, which is not among the labels'
                )
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), cleaned)))
    return found


def _check_groups(names: Iterable[str], groups: Mapping[str, Sequence[str]]) -> None:
    """Raise LabelError when the mask of a group in use would have the topic of another mask."""
    owners = {topic_name(name): ('label', name) for name in names}
    for group in dict.fromkeys(group for name in names for group in groups.get(name, ())):
        kind, earlier = owners.setdefault(topic_name(group), ('group', group))
        if (kind, earlier) != ('group', group):
            raise LabelError(
                f'group {quote(group)} and {kind} {quote(earlier)} would share the '
                f'topic masks/{topic_name(group)}; rename one'
            )
