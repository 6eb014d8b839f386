# SPDX-License-Identifier: Apache-2.0
"""The classes asked for at one time: names, prompts, ids, colours and groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class LabelClass:
    """One class: its id in the label image, its name, its prompts and its colour (R, G, B).

    `groups` are the names of the groups that it belongs to, such as ``traversable``.
    """

    id: int
    name: str
    prompts: tuple[str, ...]
    color: tuple[int, int, int]
    groups: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """The label as a user writes it; `parse_label` reads it back."""
        alone = self.prompts == (self.name,)
        return self.name if alone else f'{self.name}={"|".join(self.prompts)}'


@dataclass(frozen=True)
class LabelSet:
    """The classes asked for at one time, sorted by id; id 0 is 'other' where it is enabled."""

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        ids = [label.id for label in self.classes]
        if not ids or ids != sorted(set(ids)):
            raise ValueError(f'class ids must be unique and ascending, not {ids}')

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in the order of `classes`."""
        return tuple(label.name for label in self.classes)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Ids in the order of `classes`, ascending."""
        return tuple(label.id for label in self.classes)

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """The prompts of all classes, one after the other: K texts."""
        return tuple(prompt for label in self.classes for prompt in label.prompts)

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """The ids of the members of each group that has any, ascending."""
        members: dict[str, list[int]] = {}
        for label in self.classes:
            for group in label.groups:
                members.setdefault(group, []).append(label.id)
        return {group: tuple(ids) for group, ids in members.items()}

    @cached_property
    def masks(self) -> dict[str, tuple[int, ...]]:
        """The ids that each mask is made of, by the name of the class or group."""
        return {label.name: (label.id,) for label in self.classes} | self.groups

    def by_id(self, class_id: int) -> LabelClass:
        """Return the class with this id; KeyError when the set has none."""
        return self._by_id[class_id]

    def palette(self) -> np.ndarray:
        """Return uint8 [256, 3]: the RGB colour of every id; black for those not in the set."""
        table = np.zeros((256, 3), np.uint8)
        for label in self.classes:
            table[label.id] = label.color
        return table

    @cached_property
    def _by_id(self) -> dict[int, LabelClass]:
        return {label.id: label for label in self.classes}
