# SPDX-License-Identifier: Apache-2.0
"""Changes of the order and groups of labels, as SetLabels takes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lseg_ros.labels import LabelError, LabelSet
from lseg_ros.labels.files import LabelFile
from lseg_ros.labels.syntax import OTHER_NAME, parse_label


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

    ``other`` stays where it is, as the node puts it first.
    """
    specs = {label.name: label.spec for label in labels.in_order}
    spec = specs.pop(name)
    fixed = [specs.pop(OTHER_NAME)] if OTHER_NAME in specs else []
    place = movable_names(labels).index(name) + step
    others = list(specs.values())
    return [*fixed, *others[: max(place, 0)], spec, *others[max(place, 0) :]]


def movable_names(labels: LabelSet) -> list[str]:
    """Return the names whose order can be changed, in their order."""
    return [label.name for label in labels.in_order if label.name != OTHER_NAME]


def put_into(labels: LabelSet, name: str, groups: Collection[str]) -> list[str]:
    """Return the groups to change so that `name` is in `groups` and in no others."""
    present = members_of(labels)
    wanted = {group: members - {name} for group, members in present.items()}
    for group in groups:
        wanted[group] = wanted.get(group, set()) | {name}
    return _changed(labels, present, wanted)


def groups_to_restore(present: LabelSet, earlier: LabelSet) -> list[str]:
    """Return the groups to change so that they are those of an earlier set."""
    return _changed(earlier, members_of(present), members_of(earlier))


def groups_of_file(present: LabelSet | None, file: LabelFile) -> list[str]:
    """Return the groups to change so that they are those of a file.

    Raise LabelError for a member that is no label.
    """
    ended = {} if present is None else dict.fromkeys(present.groups, '')
    return _written(
        ended
        | {group: '|'.join(parse_label(member)[0] for member in members) for group, members in file.groups.items()}
    )


def members_of(labels: LabelSet) -> dict[str, set[str]]:
    """Return the names in each group."""
    return {group: {labels.by_id(each).name for each in ids} for group, ids in labels.groups.items()}


def _changed(labels: LabelSet, present: dict[str, set[str]], wanted: dict[str, set[str]]) -> list[str]:
    """Return the groups whose members differ; `labels` has the order of the members."""
    names = [label.name for label in labels.in_order]
    groups = sorted(group for group in present | wanted if present.get(group) != wanted.get(group))
    return _written({group: '|'.join(_among(names, wanted.get(group, set()))) for group in groups})


def _among(names: Iterable[str], members: Collection[str]) -> Iterable[str]:
    return (name for name in names if name in members)


def _written(members: dict[str, str]) -> list[str]:
    return [f'{group}={text}' for group, text in members.items()]
