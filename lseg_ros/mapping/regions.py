# SPDX-License-Identifier: Apache-2.0
"""Connected voxels."""

from __future__ import annotations

from itertools import product

import numpy as np

from lseg_ros.mapping.voxel_index import cells_of, keys_of

# Half of the 26 neighbours of a voxel: each pair is found from one of its ends.
_AHEAD = np.array([step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)])


def connected(cells: np.ndarray) -> list[np.ndarray]:
    """Return the indices of each group of voxels [N, 3] that touch, if only at a corner.

    The largest group comes first.
    """
    if not len(cells):
        return []
    keys = keys_of(cells)
    order = np.argsort(keys)
    first, second = _pairs(keys[order])
    root = _roots(len(keys), first, second)
    _, group, sizes = np.unique(root, return_inverse=True, return_counts=True)
    members = np.split(order[np.argsort(group, kind='stable')], np.cumsum(sizes)[:-1])
    return sorted(members, key=len, reverse=True)


def _pairs(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of both voxels of each neighbouring pair; `keys` are sorted."""
    cells = cells_of(keys)
    firsts, seconds = [], []
    for step in _AHEAD:
        wanted = keys_of(cells + step)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = np.flatnonzero(keys[place] == wanted)
        firsts.append(found)
        seconds.append(place[found])
    return np.concatenate(firsts), np.concatenate(seconds)


def _roots(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the least index in the group of each voxel.

    Pointers to lesser indices are set and shortened until none changes (Shiloach & Vishkin, 1982).
    """
    root = np.arange(count)
    while True:
        low, high = np.minimum(root[first], root[second]), np.maximum(root[first], root[second])
        apart = low < high
        if not apart.any():
            return root
        np.minimum.at(root, high[apart], low[apart])
        while not np.array_equal(root[root], root):
            root = root[root]
