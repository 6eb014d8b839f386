# SPDX-License-Identifier: Apache-2.0
"""Changes of the order and groups of labels, as SetLabels takes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lseg_ros.labels import LabelClass, LabelError, LabelSet
from lseg_ros.labels.files import LabelFile
from lseg_ros.labels.syntax import EVERY_OTHER_GROUP, OTHER_NAME, parse_group, parse_label


def specs_of(labels: LabelSet) -> list[str]:
    """Return all labels in their order."""
    return [label.spec for label in labels.in_order]


def is_written_as(labels: LabelSet, specs: Iterable[str]) -> bool:
    """Return whether `specs` are these labels, in any order.

    ``other`` may be missing. Labels that cannot be parsed are not these.
    """
    try:
        written = dict(map(parse_label, specs))
    except LabelError:
        return False
    prompts = {label.name: label.prompts for label in labels.classes}
    return {OTHER_NAME: prompts.get(OTHER_NAME)} | written == {OTHER_NAME: None} | prompts


def moved(labels: LabelSet, name: str, step: int) -> list[str]:
    """Return all labels with `name` so many places later, or earlier; raise KeyError without it.

    ``other`` stays where it is.
    """
    specs = {label.name: label.spec for label in labels.in_order}
    names = movable_names(labels)
    place = max(names.index(name) + step, 0)
    names.remove(name)
    names.insert(place, name)
    reordered = iter(names)
    return [specs[present if present == OTHER_NAME else next(reordered)] for present in specs]


def movable_names(labels: LabelSet) -> list[str]:
    """Return the names whose order can be changed, in their order."""
    return [label.name for label in labels.in_order if label.name != OTHER_NAME]


@dataclass(frozen=True)
class LabelEdit:
    """What a user changed about a label: its spec, unless empty, and some of its groups."""

    name: str
    spec: str = ''
    joined: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()

    @classmethod
    def of(cls, label: LabelClass, spec: str, groups: Iterable[str]) -> LabelEdit:
        """Compare a label with what is wanted of it; raise LabelError."""
        before, after = frozenset(label.groups), frozenset(map(parse_group, groups))
        is_same = parse_label(spec) == (label.name, label.prompts)
        return cls(label.name, '' if is_same else spec, after - before, before - after)

    def groups(self, labels: LabelSet) -> list[str]:
        """Return the groups of `labels` to change, with all their members."""
        present = members_of(labels)
        joined = {group: present.get(group, set()) | {self.name} for group in self.joined}
        left = {group: present.get(group, set()) - {self.name} for group in self.left}
        return _changed(labels, present, present | joined | left)


def groups_to_restore(present: LabelSet, earlier: LabelSet) -> list[str]:
    """Return the groups to change so that they are those of an earlier set."""
    return _changed(earlier, members_of(present), members_of(earlier))


def groups_of_file(file: LabelFile) -> list[str]:
    """Return the changes after which the groups are those of a file, also for names that return.

    Raise LabelError for a member that is no label.
    """
    members = {group: '|'.join(parse_label(each)[0] for each in listed) for group, listed in file.groups.items()}
    return _written({EVERY_OTHER_GROUP: ''} | members)


def members_of(labels: LabelSet) -> dict[str, set[str]]:
    """Return the names in each group."""
    return {group: {labels.by_id(each).name for each in ids} for group, ids in labels.groups.items()}


def _changed(labels: LabelSet, present: dict[str, set[str]], wanted: dict[str, set[str]]) -> list[str]:
    """Return the groups whose members differ; `labels` has the order of the members."""
    names = [label.name for label in labels.in_order]
    groups = sorted(group for group in present | wanted if present.get(group, set()) != wanted.get(group, set()))
    return _written({group: '|'.join(_among(names, wanted.get(group, set()))) for group in groups})


def _among(names: Iterable[str], members: Collection[str]) -> Iterable[str]:
    return (name for name in names if name in members)


def _written(members: dict[str, str]) -> list[str]:
    return [f'{group}={text}' for group, text in members.items()]
