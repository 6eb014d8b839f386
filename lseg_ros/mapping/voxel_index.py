# SPDX-License-Identifier: Apache-2.0
"""Finds voxels by their place: a hash table in arrays, for thousands of look-ups at once."""

from __future__ import annotations

import numpy as np

AXIS_BITS = 21  # of a key, for each of x, y and z
REACH = 1 << (AXIS_BITS - 1)  # voxels in each direction from the origin
_FIRST_BITS = 12  # of the size of an empty table
_LARGEST_LOAD = 0.5  # share of the table in use, beyond which look-ups become slow
_EMPTY, _DELETED = -1, -2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 6.4)


def keys_of(cells: np.ndarray) -> np.ndarray:
    """Return the keys, int64 [N], of voxels at integers [N, 3] within REACH of the origin."""
    x, y, z = (cells.astype(np.int64) + REACH).T
    keys: np.ndarray = (x << 2 * AXIS_BITS) | (y << AXIS_BITS) | z
    return keys


def cells_of(keys: np.ndarray) -> np.ndarray:
    """Return the places, int32 [N, 3], of voxels with these keys."""
    last = (1 << AXIS_BITS) - 1
    axes = (keys >> 2 * AXIS_BITS, (keys >> AXIS_BITS) & last, keys & last)
    return (np.stack(axes, axis=1) - REACH).astype(np.int32)


class VoxelIndex:
    """Maps the keys of voxels to slots, the rows of other arrays that belong to them.

    It is an open-addressing table with linear probing; the cost of a look-up does not depend on
    the number of voxels, apart from the caches of the processor.
    """

    def __init__(self, most: int) -> None:
        """Make room for `most` slots; memory is taken as slots are used."""
        self.keys = np.zeros(most, np.int64)  # by slot; meaningless for slots without a voxel
        self._clear(_FIRST_BITS)

    @property
    def table_bytes(self) -> int:
        """The memory of the table, without the keys."""
        return self._table.nbytes

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the slot of each key, int32 [N]; -1 where there is no such voxel."""
        return self._locate(keys)[0]

    def add(self, keys: np.ndarray, slots: np.ndarray) -> None:
        """Add voxels that are not in the index; all keys differ."""
        self.keys[slots] = keys
        needed = self._filled + len(keys)
        if needed > _LARGEST_LOAD * len(self._table):
            self._rebuild(len(keys))
        self._insert(keys, slots)

    def remove(self, slots: np.ndarray) -> None:
        """Remove the voxels in these slots."""
        self._table[self._locate(self.keys[slots])[1]] = _DELETED
        self.count -= len(slots)

    def _clear(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._table = np.full(1 << bits, _EMPTY, np.int32)
        self._filled = 0  # deleted entries included
        self.count = 0

    def _rebuild(self, more: int) -> None:
        """Drop the deleted entries and make room for `more` voxels, with some to spare."""
        slots = self._table[self._table >= 0]
        bits = _FIRST_BITS
        while 3 * (len(slots) + more) > 1 << bits:
            bits += 1
        self._clear(bits)
        self._insert(self.keys[slots], slots)

    def _insert(self, keys: np.ndarray, slots: np.ndarray) -> None:
        self.count += len(keys)
        self._filled += len(keys)
        places = self._places(keys)
        waiting = np.arange(len(keys))
        while len(waiting):
            at = places[waiting]
            free = self._table[at] == _EMPTY
            self._table[at[free]] = slots[waiting[free]]
            # Of several that claim one place, the last one written has it.
            lost = self._table[at] != slots[waiting]
            waiting = waiting[lost]
            places[waiting] = (places[waiting] + 1) & (len(self._table) - 1)

    def _locate(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the slot of each key, or -1, and its place in the table."""
        places = self._places(keys)
        found = np.full(len(keys), -1, np.int32)
        waiting = np.arange(len(keys))
        while len(waiting):
            slots = self._table[places[waiting]]
            is_hit = (slots >= 0) & (self.keys[slots] == keys[waiting])
            found[waiting[is_hit]] = slots[is_hit]
            waiting = waiting[~is_hit & (slots != _EMPTY)]
            places[waiting] = (places[waiting] + 1) & (len(self._table) - 1)
        return found, places

    def _places(self, keys: np.ndarray) -> np.ndarray:
        return ((keys.astype(np.uint64) * _GOLDEN) >> self._shift).astype(np.int64)
