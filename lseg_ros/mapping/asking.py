# SPDX-License-Identifier: Apache-2.0
"""Finds what a prompt asks for in a map, and where a robot can look at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lseg_ros.mapping.approach import ApproachLimits, GroundPose, approach
from lseg_ros.mapping.ground_grid import GroundGrid
from lseg_ros.mapping.ranges import MOST_ANSWERS
from lseg_ros.mapping.regions import connected
from lseg_ros.mapping.voxel_map import Voxels

# A region has at least this many voxels; fewer are noise.
LEAST_VOXELS = 8
# The mean of as many of the most relevant voxels is the score, so that one alone does not decide.
_SCORED_VOXELS = 20
# A thing reaches as far as this share of the minimum score: its best voxels decide whether it is
# one, and those around them where it ends (hysteresis, as in Canny, 1986).
_REACH_SHARE = 0.5


@dataclass(frozen=True)
class Thing:
    """Connected voxels that belong together: their indices, centre and size in metres, and score.

    `centre` and `size` are x, y and z of the box around them.
    """

    members: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    score: float


@dataclass(frozen=True)
class Place:
    """A pose from which a thing can be seen; None, with the reason, if there is none."""

    pose: GroundPose | None
    reason: str = ''


@dataclass(frozen=True)
class Question:
    """The least score of an answer, 0 to 1, the most answers to each prompt, and where to stand.

    Raise ValueError for values out of range.
    """

    minimum: float
    top_k: int
    limits: ApproachLimits

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= 1:
            raise ValueError(f'the least score must be 0 to 1, not {self.minimum:g}')
        if not 1 <= self.top_k <= MOST_ANSWERS:
            raise ValueError(f'top_k must be 1 to {MOST_ANSWERS}, not {self.top_k}')


@dataclass(frozen=True)
class Answer:
    """A thing that a prompt asks for, and a place before it."""

    prompt: str
    thing: Thing
    place: Place


def find_things(voxels: Voxels, scores: np.ndarray, minimum: float, voxel_size: float) -> list[Thing]:
    """Return the groups of connected voxels that score at least `minimum`, the best first.

    `scores` are float32 [N], 0 to 1. A group's score is the mean of its best voxels; it reaches as
    far as voxels score half of `minimum`.
    """
    if not (scores >= minimum).any():
        return []
    chosen = np.flatnonzero(scores >= _REACH_SHARE * minimum)
    things = []
    for group in connected(voxels.cells[chosen], LEAST_VOXELS):
        members = chosen[group]
        best = np.sort(scores[members])[-_SCORED_VOXELS:]
        # A small thing has less to show for itself.
        score = float(best.sum()) / _SCORED_VOXELS if len(best) < _SCORED_VOXELS else float(best.mean())
        if score < minimum:
            continue
        low, high = voxels.cells[members].min(0), voxels.cells[members].max(0) + 1
        things.append(Thing(members, (low + high) / 2 * voxel_size, (high - low) * voxel_size, score))
    return sorted(things, key=lambda thing: thing.score, reverse=True)


def place_before(thing: Thing, voxels: Voxels, voxel_size: float, grid: GroundGrid, limits: ApproachLimits) -> Place:
    """Return the pose on free ground from which to look at a thing, see `approach`."""
    target = (voxels.cells[thing.members, :2] + 0.5) * voxel_size
    try:
        return Place(approach(grid, target, limits))
    except ValueError as error:
        return Place(None, str(error))
