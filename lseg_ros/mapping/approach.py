# SPDX-License-Identifier: Apache-2.0
"""A place on free ground from which a target can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from lseg_ros.mapping.ground_grid import FREE, OCCUPIED, GroundGrid

# How far from the wanted distance a place may be, as a share of it.
_TOLERANCE = 0.6
# Cells around the target that may be occupied: the target itself.
_NEAR_TARGET = 3
_STEP = 0.5  # cells between points on a line of sight
# Points on lines of sight that may be checked for one target, which bounds the time. Every line
# counts as one of the greatest length; those checked have about 0.6 times as many points.
_MOST_SAMPLES = 4_000_000
_BATCH = 100_000  # of these, at once, which bounds the memory
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
    roomy = np.nonzero(_roomy(near, limits.robot_radius))
    places, centres = near.centres(*roomy), near.centres(*columns.T)
    seen = centres[_nearest(near, columns)[roomy]]
    error = np.abs(_lengths(seen - places) - limits.distance)
    fitting = int((error <= _TOLERANCE * limits.distance).sum())
    if not fitting:
        raise ValueError(_why_nowhere(grid, target, limits))
    tried, samples = 0, math.ceil((1 + _TOLERANCE) * limits.distance / (_STEP * grid.cell_size))
    for order in _best_first(error, _TOLERANCE * limits.distance, _STEP * grid.cell_size, max(1, _BATCH // samples)):
        visible = _visible(near, places[order], seen[order])
        if visible.any():
            (x, y), (to_x, to_y) = places[order[visible.argmax()]], centres.mean(0)
            return GroundPose(float(x), float(y), math.atan2(to_y - y, to_x - x))
        tried += len(order)
        if tried * samples >= _MOST_SAMPLES:
            break
    if tried < fitting:
        raise ValueError(f'it cannot be seen from the {tried} of {fitting} free places around it that were tried')
    raise ValueError('it cannot be seen from any free ground around it')


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


def _nearest(grid: GroundGrid, columns: np.ndarray) -> np.ndarray:
    """Return the index of the nearest column of the target for each cell, [rows, columns]."""
    away = np.ones(grid.states.shape, np.uint8)
    away[tuple(columns.T)] = 0
    _, owners = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    index_of = np.zeros(owners.max() + 1, int)
    index_of[owners[tuple(columns.T)]] = np.arange(len(columns))
    nearest: np.ndarray = index_of[owners]
    return nearest


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


def _best_first(error: np.ndarray, most: float, small: float, batch: int) -> Iterator[np.ndarray]:
    """Yield the indices of errors up to `most`, least first, at most `batch` at once.

    The others are sorted only after those up to `small`, of which one will usually do.
    """
    is_small = error <= small
    for part in (is_small, ~is_small):
        chosen = np.flatnonzero(part & (error <= most))
        order = chosen[np.argsort(error[chosen], kind='stable')]
        yield from (order[start : start + batch] for start in range(0, len(order), batch))


def _visible(grid: GroundGrid, places: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return whether nothing hides what is `seen` from each place, both [P, 2]; bool [P]."""
    ways = seen - places
    steps = np.ceil(_lengths(ways) / (_STEP * grid.cell_size)).astype(int).clip(1)
    counts = np.maximum(1, steps - 2 * _NEAR_TARGET)
    share = np.minimum(np.arange(counts.max())[:, None], counts - 1) / steps  # [samples, P]
    columns, rows = (
        np.floor((place + share * way - low) / grid.cell_size).astype(int)
        for place, way, low in zip(places.T, ways.T, grid.corner)
    )
    visible: np.ndarray = ~(grid.states[rows, columns] == OCCUPIED).any(0)
    return visible


def _lengths(ways: np.ndarray) -> np.ndarray:
    """Return the lengths of vectors [P, 2], several times as fast as np.linalg.norm."""
    x, y = ways.T
    lengths: np.ndarray = np.sqrt(x * x + y * y)
    return lengths
