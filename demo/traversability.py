# SPDX-License-Identifier: Apache-2.0
"""A map from above of where a robot may drive, from labelled points and its cameras' poses."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np

CELL_M = 0.05
ROBOT_HEIGHT_M = 0.6  # it drives under what is higher
RANGE_M = 4.0  # points further from the camera are too few in a cell to tell
_MARGIN_M = 1.5
_LEAST_VOTES = 1.5  # two points of which one is all but sure
_BLOCKED_SHARE = 0.35  # of a cell's votes: what stands on a floor hides less of it than it leaves
_PIXELS_PER_CELL = 4


class Ground(IntEnum):
    """What a cell of the map is."""

    UNSEEN = 0
    FREE = 1
    BLOCKED = 2


_COLORS = np.array([(40, 40, 40), (90, 170, 90), (200, 90, 60)], np.uint8)  # by Ground, RGB
_WAY_COLOR = (255, 255, 255)


class TraversabilityMap:
    """Votes of labelled points for each cell of a grid over the ground: free or blocked.

    The world is that of the poses: z up, the floor at 0, metres. `low` is the corner of the first
    cell, (x, y).
    """

    def __init__(self, poses: np.ndarray) -> None:
        """Cover what can be seen from `poses`, [N, 4, 4] from the optical frame to the world."""
        places = poses[:, :2, 3]
        reach = RANGE_M + _MARGIN_M
        self.low = places.min(0) - reach
        self._shape = tuple(np.ceil((np.ptp(places, 0) + 2 * reach) / CELL_M).astype(int))
        # Votes for free and for blocked.
        self._votes = np.zeros((2, int(np.prod(self._shape))))

    def add(
        self, points: np.ndarray, is_free: np.ndarray, weight: np.ndarray, pose: np.ndarray
    ) -> None:
        """Let the points of a camera vote.

        `points` is [N, 3] in the optical frame, NaN where there is no depth; `is_free`, bool [N],
        says whether the label of each is one to drive on; `weight`, [N], is how sure that is.
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
        """Return the map as uint8 [h, w, 3] RGB, x up and y to the left, with `way`, [N, 2]."""
        picture = np.kron(_COLORS[self.ground()], np.ones((*(_PIXELS_PER_CELL,) * 2, 1), np.uint8))
        pixels = (way - self.low) / CELL_M * _PIXELS_PER_CELL
        cv2.polylines(picture, [pixels[:, ::-1].astype(np.int32)], False, _WAY_COLOR, 2)
        return np.ascontiguousarray(picture[::-1, ::-1])


def floor_recall(ground: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of the truly free cells that the map has as free."""
    return float((ground[truth == Ground.FREE] == Ground.FREE).mean())


def obstacle_misses(ground: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of the truly blocked cells that the map has as free."""
    return float((ground[truth == Ground.BLOCKED] == Ground.FREE).mean())
