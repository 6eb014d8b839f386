# SPDX-License-Identifier: Apache-2.0
"""A top-down map of where a robot may drive, built from labelled points and camera poses."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np

CELL_M = 0.05
ROBOT_HEIGHT_M = 0.6  # the robot drives under anything higher
RANGE_M = 4.0  # farther points are too sparse to fill a cell
_MARGIN_M = 1.5
_LEAST_VOTES = 1.5  # at least two points, one of them nearly certain
_BLOCKED_SHARE = 0.35  # of a cell's votes: an object often fills only part of its cell
_PIXELS_PER_CELL = 4


class Ground(IntEnum):
    """State of a map cell."""

    UNSEEN = 0
    FREE = 1
    BLOCKED = 2


_COLORS = np.array([(40, 40, 40), (90, 170, 90), (200, 90, 60)], np.uint8)  # by Ground, RGB
_WAY_COLOR = (255, 255, 255)


class TraversabilityMap:
    """A grid over the ground in which labelled points vote for each cell: free or blocked.

    The world frame is that of the poses, in metres: z points up and the floor is at 0. `low` is
    the corner of the first cell, (x, y).
    """

    def __init__(self, poses: np.ndarray) -> None:
        """Cover the area visible from `poses`, [N, 4, 4], optical frame to world."""
        places = poses[:, :2, 3]
        reach = RANGE_M + _MARGIN_M
        self.low = places.min(0) - reach
        self._shape = tuple(np.ceil((np.ptp(places, 0) + 2 * reach) / CELL_M).astype(int))
        self._votes = np.zeros((2, int(np.prod(self._shape))))  # rows: free, blocked

    def add(self, points: np.ndarray, is_free: np.ndarray, weight: np.ndarray, pose: np.ndarray) -> None:
        """Add the votes of one camera's points.

        Args:
            points: [N, 3] in the optical frame; NaN where there is no depth.
            is_free: bool [N], whether the label of each point is traversable.
            weight: [N], the confidence of each label.
            pose: [4, 4], optical frame to world.
        """
        world = points @ pose[:3, :3].T + pose[:3, 3]
        used = (points[:, 2] < RANGE_M) & (world[:, 2] < ROBOT_HEIGHT_M)  # false for NaN
        columns = ((world[used, :2] - self.low) / CELL_M).astype(int)
        cells = np.ravel_multi_index(columns.T, self._shape)
        for votes, mine in zip(self._votes, (is_free[used], ~is_free[used])):
            votes += np.bincount(cells[mine], weight[used][mine], votes.size)

    def ground(self) -> np.ndarray:
        """Return the `Ground` of each cell, uint8 [cells along x, cells along y]."""
        total = self._votes.sum(0)
        ground = np.where(self._votes[1] > _BLOCKED_SHARE * total, Ground.BLOCKED, Ground.FREE)
        ground[total < _LEAST_VOTES] = Ground.UNSEEN
        return ground.astype(np.uint8).reshape(self._shape)

    def picture(self, way: np.ndarray) -> np.ndarray:
        """Return the map, uint8 [h, w, 3] RGB, x up and y left, with the path `way`, [N, 2]."""
        picture = np.kron(_COLORS[self.ground()], np.ones((*(_PIXELS_PER_CELL,) * 2, 1), np.uint8))
        pixels = (way - self.low) / CELL_M * _PIXELS_PER_CELL
        cv2.polylines(picture, [pixels[:, ::-1].astype(np.int32)], False, _WAY_COLOR, 2)
        return np.ascontiguousarray(picture[::-1, ::-1])


def floor_recall(ground: np.ndarray, truth: np.ndarray) -> float:
    """Return the fraction of truly free cells that the map marks free."""
    return float((ground[truth == Ground.FREE] == Ground.FREE).mean())


def obstacle_misses(ground: np.ndarray, truth: np.ndarray) -> float:
    """Return the fraction of truly blocked cells that the map marks free."""
    return float((ground[truth == Ground.BLOCKED] == Ground.FREE).mean())
