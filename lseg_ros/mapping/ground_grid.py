# SPDX-License-Identifier: Apache-2.0
"""The ground of a map from above: where a robot may drive, and where it would hit something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lseg_ros.labels import LabelSet
from lseg_ros.labels.syntax import TRAVERSABLE_GROUP
from lseg_ros.mapping.voxel_map import Voxels

# Labels on which a robot may drive, if the labels have no group of the name traversable.
TRAVERSABLE = ('floor', 'rug', 'carpet', 'ground')
UNKNOWN, FREE, OCCUPIED = -1, 0, 100  # as in nav_msgs/OccupancyGrid
_REACH = 4096  # cells: one wrong pose far away must not make the grid too large for the memory


@dataclass(frozen=True)
class GroundLimits:
    """Heights in metres: of the floor in the frame of the map, and above the floor.

    Whatever is not traversable and lies between `low` and `high` above the floor is an obstacle.
    """

    floor: float = 0.0
    low: float = 0.1
    high: float = 0.6

    def __post_init__(self) -> None:
        """Raise ValueError unless the heights are in order."""
        if not 0 <= self.low < self.high:
            raise ValueError(f'obstacles must lie between two heights above the floor, not {self.low} and {self.high}')


@dataclass(frozen=True)
class GroundGrid:
    """States of square cells, int8 [rows along y, columns along x]: UNKNOWN, FREE or OCCUPIED.

    `corner` is the least x and y of the first cell, in metres, and `cell_size` the side of a cell.
    """

    states: np.ndarray
    corner: tuple[float, float]
    cell_size: float

    def cell_at(self, x: float, y: float) -> tuple[int, int]:
        """Return row and column of a place, which may lie outside of the grid."""
        column, row = (int(np.floor((value - low) / self.cell_size)) for value, low in zip((x, y), self.corner))
        return row, column

    def around(self, places: np.ndarray, margin: float) -> GroundGrid:
        """Return the part within `margin` metres of the box around places [N, 2], if any."""
        low, high = places.min(0) - margin, places.max(0) + margin
        (top, left), (bottom, right) = self.cell_at(*low), self.cell_at(*high)
        top, left = max(top, 0), max(left, 0)
        states = self.states[top : max(bottom + 1, 0), left : max(right + 1, 0)]
        corner = self.corner[0] + left * self.cell_size, self.corner[1] + top * self.cell_size
        return GroundGrid(states, corner, self.cell_size)

    def centres(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return x and y of the centres of cells, float64 [N, 2]."""
        places: np.ndarray = (np.stack([columns, rows], axis=1) + 0.5) * self.cell_size + self.corner
        return places


def ground_grid(
    voxels: Voxels, ids: np.ndarray, traversable: tuple[int, ...], voxel_size: float, limits: GroundLimits
) -> GroundGrid:
    """Return the ground of voxels with these `ids` of labels, of which some are `traversable`.

    A cell is free where the floor is traversable and nothing stands on it. What lies on the floor,
    lower than an obstacle, and is not traversable leaves its cell unknown. Voxels farther than
    _REACH cells from the median one are left out.
    """
    if not len(voxels):
        return GroundGrid(np.full((0, 0), UNKNOWN, np.int8), (0.0, 0.0), voxel_size)
    cells = voxels.cells.astype(np.int64)
    near = near_the_others(cells)
    cells, ids = cells[near], ids[near]
    if not len(cells):
        return GroundGrid(np.full((0, 0), UNKNOWN, np.int8), (0.0, 0.0), voxel_size)
    low = cells[:, :2].min(0)
    columns, rows = np.ptp(cells[:, :2], axis=0) + 1
    flat = (cells[:, 1] - low[1]) * columns + (cells[:, 0] - low[0])
    height = (cells[:, 2] + 0.5) * voxel_size - limits.floor
    is_traversable = np.isin(ids, traversable)
    states = np.full(rows * columns, UNKNOWN, np.int8)
    states[flat[is_traversable & (np.abs(height) <= limits.low)]] = FREE
    states[flat[~is_traversable & (height > limits.low) & (height <= limits.high)]] = OCCUPIED
    x, y = (float(value) * voxel_size for value in low)
    return GroundGrid(states.reshape(rows, columns), (x, y), voxel_size)


def near_the_others(cells: np.ndarray) -> np.ndarray:
    """Return which voxels [N, 3] lie within _REACH cells of the median one, seen from above."""
    near: np.ndarray = (np.abs(cells[:, :2] - np.median(cells[:, :2], axis=0)) < _REACH).all(1)
    return near


def traversable_ids(labels: LabelSet, names: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of the group traversable or, without one, of the labels with these names."""
    group = labels.groups.get(TRAVERSABLE_GROUP)
    return group or tuple(label.id for label in labels.classes if label.name in names)
