# SPDX-License-Identifier: Apache-2.0
"""Connected voxels."""

from __future__ import annotations

import numpy as np

from lseg_ros.mapping.voxel_index import AXIS_BITS, keys_of

# From a column of voxels to half of its neighbours, as differences of keys: each pair of columns is
# met from one of them.
_AHEAD = tuple((x << 2 * AXIS_BITS) + (y << AXIS_BITS) for x, y in ((0, 1), (1, -1), (1, 0), (1, 1)))


def connected(cells: np.ndarray, least: int = 1) -> list[np.ndarray]:
    """Return the indices of each group of voxels [N, 3] that touch, if only at a corner.

    The largest group comes first; those of fewer than `least` voxels are left out.
    """
    if not len(cells):
        return []
    keys = keys_of(cells)
    order = np.argsort(keys)
    keys = keys[order]
    is_first = np.diff(keys, prepend=keys[0] - 2) != 1  # of a run along z, whose keys are successive
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], len(keys))
    root = _roots(len(starts), *_pairs(keys[starts], keys[ends - 1]))
    _, group = np.unique(root, return_inverse=True)
    sizes = np.bincount(group, ends - starts).astype(np.int64)
    large = np.flatnonzero(sizes >= least)
    group_of = group[np.cumsum(is_first) - 1]
    kept = np.flatnonzero(sizes[group_of] >= least)
    by_group = order[kept[np.argsort(group_of[kept], kind='stable')]]
    members = np.split(by_group, np.cumsum(sizes[large])[:-1])
    return sorted(members if len(large) else [], key=len, reverse=True)


def _pairs(lows: np.ndarray, highs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of both runs of each pair that touches, in neighbouring columns.

    A run has the keys from its low to its high one; both are ascending.
    """
    firsts, seconds = [], []
    for ahead in _AHEAD:
        begin = np.searchsorted(highs, lows + (ahead - 1))
        counts = np.searchsorted(lows, highs + (ahead + 1), side='right') - begin
        counts = np.maximum(counts, 0)  # beyond the last voxels that there can be, keys overflow
        first = np.repeat(np.arange(len(lows)), counts)
        firsts.append(first)
        seconds.append(np.arange(len(first)) + np.repeat(begin - (np.cumsum(counts) - counts), counts))
    return np.concatenate(firsts), np.concatenate(seconds)


def _roots(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the least index in the group of each of `count` runs.

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
