# SPDX-License-Identifier: Apache-2.0
"""An immutable set of labels with their ids, prompts, colours and groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class LabelClass:
    """A class: its id in the label image, name, prompts, and colour (R, G, B).

    `groups` are the names of its groups, such as ``traversable``.
    """

    id: int
    name: str
    prompts: tuple[str, ...]
    color: tuple[int, int, int]
    groups: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """The label as a user writes it, for `parse_label`."""
        alone = self.prompts == (self.name,)
        return self.name if alone else f'{self.name}={"|".join(self.prompts)}'


@dataclass(frozen=True)
class LabelSet:
    """The classes to segment, sorted by id; OTHER is among them if it is enabled.

    `retired` has the names that were dropped and the ids that they keep, ascending by id. `order`
    has the names in the order in which they were listed; empty: by id.
    """

    classes: tuple[LabelClass, ...]
    retired: tuple[tuple[int, str], ...] = ()
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = [label.id for label in self.classes]
        if not ids or ids != sorted(set(ids)):
            raise ValueError(f'class ids must be unique and ascending, not {ids}')

    @cached_property
    def in_order(self) -> tuple[LabelClass, ...]:
        """The classes in the order of `order`; those that it does not have come last, by id."""
        places = {name: place for place, name in enumerate(self.order)}
        return tuple(sorted(self.classes, key=lambda label: places.get(label.name, len(places))))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names in the order of `classes`."""
        return tuple(label.name for label in self.classes)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The ids in the order of `classes`, ascending."""
        return tuple(label.id for label in self.classes)

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """The K prompts of all classes, in the order of `classes`."""
        return tuple(prompt for label in self.classes for prompt in label.prompts)

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """The ids of the members of each group, ascending."""
        members: dict[str, list[int]] = {}
        for label in self.classes:
            for group in label.groups:
                members.setdefault(group, []).append(label.id)
        return {group: tuple(ids) for group, ids in members.items()}

    @cached_property
    def masks(self) -> dict[str, tuple[int, ...]]:
        """The ids in each mask, by the name of the class or group."""
        return {label.name: (label.id,) for label in self.classes} | self.groups

    def by_id(self, class_id: int) -> LabelClass:
        """Return the class with this id; raise KeyError if there is none."""
        return self._by_id[class_id]

    def palette(self) -> np.ndarray:
        """Return the RGB colour of every id, uint8 [256, 3]; black for ids not in the set."""
        table = np.zeros((256, 3), np.uint8)
        for label in self.classes:
            table[label.id] = label.color
        return table

    @cached_property
    def _by_id(self) -> dict[int, LabelClass]:
        return {label.id: label for label in self.classes}
