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
    # Runs along z, whose keys are successive.
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 2) != 1)
    ends = np.append(starts[1:], len(keys))
    root = _roots(len(starts), *_pairs(keys[starts], keys[ends - 1]))
    group = np.cumsum(root == np.arange(len(root)))[root] - 1
    sizes = np.bincount(group, ends - starts).astype(np.int64)
    kept = np.flatnonzero(sizes[group] >= least)
    kept = kept[np.argsort(group[kept], kind='stable')]
    members = order[_ranges(starts[kept], (ends - starts)[kept])]
    large = sizes[sizes >= least]
    return sorted(np.split(members, np.cumsum(large)[:-1]) if len(large) else [], key=len, reverse=True)


def _pairs(lows: np.ndarray, highs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of both runs of each pair that touches, in neighbouring columns.

    A run has the keys from its low to its high one; both are ascending.
    """
    firsts, seconds = [], []
    beyond = np.append(lows, np.iinfo(np.int64).max)
    for ahead in _AHEAD:
        begin = np.searchsorted(highs, lows + (ahead - 1))
        # Most runs touch none. Keys beyond the last possible voxel overflow and are then below all.
        first = np.flatnonzero(beyond[begin] <= highs + (ahead + 1))
        begin = begin[first]
        counts = np.searchsorted(lows, highs[first] + (ahead + 1), side='right') - begin
        firsts.append(np.repeat(first, counts))
        seconds.append(_ranges(begin, counts))
    return np.concatenate(firsts), np.concatenate(seconds)


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the integers from each start on, as many as its count says, one after the other."""
    joined: np.ndarray = np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return joined


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
