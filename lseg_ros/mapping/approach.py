# SPDX-License-Identifier: Apache-2.0
"""A place on free ground from which a target can be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lseg_ros.mapping.ground_grid import FREE, OCCUPIED, GroundGrid

# How far from the wanted distance a place may be, as a share of it.
_TOLERANCE = 0.6
# Cells around the target that may be occupied: the target itself.
_NEAR_TARGET = 3
_MOST_SAMPLES = 2_000_000  # points on lines of sight that are checked for one target
_FIRST_BATCH, _BATCH = 3_000, 100_000  # of these, at once: mostly, one of the first places will do
_MOST_CELLS = 4_000_000  # of a map, for how far away the nearest free ground is


@dataclass(frozen=True)
class ApproachLimits:
    """The wanted distance from a target and the radius of the robot, in metres."""

    distance: float = 1.0
    robot_radius: float = 0.25

    def __post_init__(self) -> None:
        """Raise ValueError unless both are positive."""
        if not (self.distance > 0 and self.robot_radius >= 0):
            raise ValueError(
                f'approach_distance must be above 0 and robot_radius 0 or more, not {self.distance} and '
                f'{self.robot_radius} m'
            )


@dataclass(frozen=True)
class GroundPose:
    """A place on the ground, in metres, and the heading there, in radians from the x axis."""

    x: float
    y: float
    yaw: float


def approach(grid: GroundGrid, target: np.ndarray, limits: ApproachLimits) -> GroundPose:
    """Return the pose nearest to the wanted distance from a target, facing its centre.

    `target` has x and y of its voxels, [N, 2]. Distances are measured to the nearest of them. The
    robot fits at the pose, and nothing in between hides the target. The work is bounded, however
    large the target is.
    Raise ValueError, with the reason, if no such pose is found.
    """
    if not (grid.states == FREE).any():
        raise ValueError('the map has no free ground')
    near = grid.around(target, (1 + _TOLERANCE) * limits.distance + limits.robot_radius + 2 * grid.cell_size)
    columns = _columns(near, target)
    places = near.centres(*np.nonzero(_roomy(near, limits.robot_radius)))
    seen = _nearest(near, columns, places)
    error = np.abs(np.linalg.norm(seen - places, axis=1) - limits.distance)
    order = np.argsort(error, kind='stable')[: (error <= _TOLERANCE * limits.distance).sum()]
    if not len(order):
        raise ValueError(_why_nowhere(grid, target, limits))
    place = places[order[_first_visible(near, places[order], seen[order])]]
    x, y = map(float, place)
    centre = near.centres(*columns.T).mean(0)
    return GroundPose(x, y, math.atan2(centre[1] - y, centre[0] - x))


def _columns(grid: GroundGrid, target: np.ndarray) -> np.ndarray:
    """Return row and column of each cell of the target, [M, 2]."""
    cells = np.floor((target - grid.corner) / grid.cell_size).astype(int)[:, ::-1]
    inside = cells[((cells >= 0) & (cells < grid.states.shape)).all(1)]
    if not len(inside):
        raise ValueError('it lies outside of the mapped ground')
    taken = np.zeros(grid.states.shape, bool)
    taken[tuple(inside.T)] = True
    return np.argwhere(taken)


def _roomy(grid: GroundGrid, radius: float) -> np.ndarray:
    """Return which cells are free, with all ground that is not free at least `radius` away."""
    free = np.pad((grid.states == FREE).astype(np.uint8), 1)
    away = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    roomy: np.ndarray = (away - 0.5) * grid.cell_size >= radius
    return roomy


def _nearest(grid: GroundGrid, columns: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the centre of the column of the target that is nearest to each place, [P, 2]."""
    away = np.ones(grid.states.shape, np.uint8)
    away[tuple(columns.T)] = 0
    _, owners = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    column_of = np.zeros((owners.max() + 1, 2), int)
    column_of[owners[tuple(columns.T)]] = columns
    at = np.floor((places - grid.corner) / grid.cell_size).astype(int)
    return grid.centres(*column_of[owners[at[:, 1], at[:, 0]]].T)


def _why_nowhere(grid: GroundGrid, target: np.ndarray, limits: ApproachLimits) -> str:
    """Return why a robot fits nowhere at the wanted distance."""
    free, radius = _roomy(grid, limits.robot_radius), limits.robot_radius
    if not free.any():
        return f'the map has no free ground on which a robot of radius {radius:g} m fits'
    wanted = f'approach_distance is {limits.distance:g} m'
    if grid.states.size > _MOST_CELLS:
        return f'there is no free ground near enough; {wanted}'
    away = np.ones(grid.states.shape, np.uint8)
    away[tuple(_columns(grid, target).T)] = 0
    distances = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * grid.cell_size
    return f'the nearest free ground is {distances[free].min():.1f} m from it; {wanted}'


def _first_visible(grid: GroundGrid, places: np.ndarray, seen: np.ndarray) -> int:
    """Return the index of the first place from which what is `seen` is not hidden.

    Raise ValueError if there is none among those that the bound on the work allows to try.
    """
    steps = np.ceil(np.linalg.norm(seen - places, axis=1) / (0.5 * grid.cell_size)).astype(int).clip(1)
    counts = np.maximum(1, steps - 2 * _NEAR_TARGET)
    tried = int(np.searchsorted(np.cumsum(counts), _MOST_SAMPLES, side='right').clip(1, len(places)))
    start, samples = 0, _FIRST_BATCH
    while start < tried:
        part = slice(start, min(start + max(1, samples // int(counts.max())), tried))
        number = np.minimum(np.arange(counts[part].max()), counts[part, None] - 1)
        share = (number / steps[part, None])[:, :, None]
        lines = places[part, None] + share * (seen[part] - places[part])[:, None]
        columns, rows = np.moveaxis(np.floor((lines - grid.corner) / grid.cell_size).astype(int), 2, 0)
        visible = ~(grid.states[rows, columns] == OCCUPIED).any(1)
        if visible.any():
            return start + int(visible.argmax())
        start, samples = part.stop, _BATCH
    if tried < len(places):
        raise ValueError(f'it cannot be seen from the {tried} of {len(places)} free places around it that were tried')
    raise ValueError('it cannot be seen from any free ground around it')
