# SPDX-License-Identifier: Apache-2.0
"""A piece of furniture: items in its own frame, its size, and the surfaces that carry things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.meshes import Mesh, merge
from lseg_lab.rooms.scene import Item, Surface


@dataclass(frozen=True)
class Top:
    """A horizontal rectangle: centre x and z, width, depth and height, metres."""

    x: float
    z: float
    width: float
    depth: float
    height: float


@dataclass(frozen=True, eq=False)
class Piece:
    """Furniture on y = 0, centred, front towards +z; `size` is width, height, depth in metres."""

    label: str
    size: tuple[float, float, float]
    items: tuple[Item, ...]
    tops: tuple[Top, ...] = ()
    elevation: float = 0.0

    def placed(self, matrix: np.ndarray) -> list[Item]:
        """Return the piece's items transformed by `matrix` (4x4)."""
        return [replace(item, matrix=matrix @ item.matrix) for item in self.items]

    def with_items(self, items: Sequence[Item]) -> Piece:
        """Return this piece with more items, given in its own frame."""
        return replace(self, items=(*self.items, *items))


def solid(label: str, surface: Surface, meshes: Sequence[Mesh]) -> Item:
    """Merge meshes that look alike into one item."""
    return Item(merge(meshes), label, surface)


def whole_top(width: float, depth: float, height: float) -> tuple[Top, ...]:
    """Return the single top of a table-like piece."""
    return (Top(0.0, 0.0, width, depth, height),)
