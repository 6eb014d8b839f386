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
    robot fits at the pose, and nothing in between hides the target.
    Raise ValueError, with the reason, if there is no such pose.
    """
    free = _roomy(grid, limits.robot_radius)
    if not free.any():
        raise ValueError(f'the map has no free ground on which a robot of radius {limits.robot_radius:g} m fits')
    places = grid.centres(*np.nonzero(free))
    centre = target.mean(0)
    distances = _distances(grid, target)[free]
    error = np.abs(distances - limits.distance)
    near = np.flatnonzero(error <= _TOLERANCE * limits.distance)
    if not len(near):
        raise ValueError(
            f'the nearest free ground is {distances.min():.1f} m from it; approach_distance is {limits.distance:g} m'
        )
    for candidate in near[np.argsort(error[near], kind='stable')]:
        if _is_visible(grid, places[candidate], target):
            x, y = (float(value) for value in places[candidate])
            return GroundPose(x, y, math.atan2(centre[1] - y, centre[0] - x))
    raise ValueError('it cannot be seen from any free ground around it')


def _roomy(grid: GroundGrid, radius: float) -> np.ndarray:
    """Return which cells are free, with all ground that is not free at least `radius` away."""
    free = np.pad((grid.states == FREE).astype(np.uint8), 1)
    away = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    roomy: np.ndarray = (away - 0.5) * grid.cell_size >= radius
    return roomy


def _distances(grid: GroundGrid, target: np.ndarray) -> np.ndarray:
    """Return the distance of each cell from the nearest voxel of the target, in metres."""
    away = np.ones(grid.states.shape, np.uint8)
    for x, y in np.unique(target, axis=0):
        away[grid.cell_at(x, y)] = 0
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * grid.cell_size


def _is_visible(grid: GroundGrid, place: np.ndarray, target: np.ndarray) -> bool:
    """Return whether no obstacle lies between a place and the nearest part of the target."""
    nearest = target[np.argmin(((target - place) ** 2).sum(1))]
    steps = int(np.ceil(np.linalg.norm(nearest - place) / (0.5 * grid.cell_size)))
    share = np.linspace(0.0, 1.0, steps + 1)[: max(1, steps - 2 * _NEAR_TARGET)]
    columns, rows = (
        np.floor(((place + share[:, None] * (nearest - place)) - grid.corner) / grid.cell_size).astype(int).T
    )
    return not (grid.states[rows, columns] == OCCUPIED).any()
