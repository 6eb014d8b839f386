# SPDX-License-Identifier: Apache-2.0
"""A sparse grid of voxels that hold a running mean of embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_ros.mapping.observation import Observation, Rays, samples_along
from lseg_ros.mapping.unusable import Unusable
from lseg_ros.mapping.voxel_index import REACH, VoxelIndex, cells_of, keys_of

# Share of the voxels that are dropped at once when the map is full.
_EVICTED_SHARE = 0.02
_LEAST_WEIGHT = 0.25  # voxels that have lost all but this are removed
_LEAST = {'voxel_size': 1e-3, 'max_voxels': 1, 'most_weight': 1.0, 'clearing': 0.0, 'embedding_dims': 0}
# Stamps of several cameras may run back by less; if they do by more, the clock was set back.
CLOCK_SLACK_S = 1.0

# Returns the mean vector of each voxel, float32 [V, D], of vectors [N, ...], their shares in the
# voxel's mean, float32 [N], the index of the voxel of each, int64 [N], and V.
_Mean = Callable[[Tensor, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class MapSettings:
    """How a map is built.

    `voxel_size` is in metres. The weight of a voxel counts the frames that saw it, up to
    `most_weight`, so that its mean goes on moving. A frame that sees through a voxel lowers its
    weight by `clearing`; 0 keeps what is seen through. A `LanguageMap` shortens vectors to
    `embedding_dims` numbers; 0 keeps them whole.
    """

    voxel_size: float = 0.05
    max_voxels: int = 1_000_000
    most_weight: float = 30.0
    clearing: float = 2.0
    embedding_dims: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a value out of range."""
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise ValueError(f'{name} must be {least:g} or more, not {getattr(self, name)}')


@dataclass(frozen=True)
class Voxels:
    """The content of a map: N voxels.

    `cells` are integers [N, 3]: a voxel reaches from cell * voxel_size to (cell + 1) * voxel_size.
    `weights` are float32 [N], `colors` uint8 [N, 3], `seen_s` float64 [N], the time in seconds at
    which each was seen last, and `vectors` float16 [N, D], means of unit vectors.
    """

    cells: np.ndarray
    weights: np.ndarray
    colors: np.ndarray
    seen_s: np.ndarray
    vectors: Tensor

    def __len__(self) -> int:
        """Return the number of voxels."""
        return len(self.cells)


class VoxelMap:
    """Fuses observations into voxels, clears what is seen through, and forgets the oldest.

    Memory is reserved for `max_voxels`, and taken as they come: for D dimensions, 2 D + 23 bytes
    each and 8 to 24 for finding it (see `bytes_per_voxel`). Not thread-safe.
    """

    def __init__(self, settings: MapSettings, dimensions: int) -> None:
        """Start empty, for vectors of this many dimensions."""
        self.settings = settings
        self.dimensions = dimensions
        self.evicted = 0  # voxels that had to make room
        most = settings.max_voxels
        self._index = VoxelIndex(most)
        self._weights = np.zeros(most, np.float32)
        self._colors = np.zeros((most, 3), np.uint8)
        self._seen_s = np.zeros(most)
        self._vectors = torch.empty(most, dimensions, dtype=torch.float16)
        self._newest_s = -np.inf
        self._used = 0  # slots that hold a voxel, or did
        self._free: list[np.ndarray] = []

    def __len__(self) -> int:
        """Return the number of voxels."""
        return self._index.count

    @property
    def bytes_per_voxel(self) -> float:
        """The memory that a voxel takes, with its share of the index; NaN for an empty map."""
        arrays = (self._weights, self._colors, self._seen_s, self._index.keys)
        own = sum(array.strides[0] for array in arrays) + self._vectors.element_size() * self.dimensions
        return own + self._index.table_bytes / len(self) if len(self) else float('nan')

    def voxels(self) -> Voxels:
        """Return a copy of the content; later changes of the map do not reach it."""
        slots = self._slots()
        return Voxels(
            cells_of(self._index.keys[slots]),
            self._weights[slots],
            self._colors[slots],
            self._seen_s[slots],
            self._vectors[torch.from_numpy(slots)],
        )

    def fill(self, voxels: Voxels) -> None:
        """Replace the content; of more than `max_voxels`, keep those seen last.

        Raise Unusable if the vectors have another number of dimensions.
        """
        self._check_dimensions(voxels.vectors)
        self.clear()
        sound = np.flatnonzero((voxels.weights > 0) & (np.abs(voxels.cells) < REACH).all(1))
        kept = sound[np.argsort(-voxels.seen_s[sound], kind='stable')][: self.settings.max_voxels]
        slots = self._allocate(len(kept))
        self._index.add(keys_of(voxels.cells[kept]), slots)
        self._weights[slots] = voxels.weights[kept]
        self._colors[slots] = voxels.colors[kept]
        self._seen_s[slots] = voxels.seen_s[kept]
        self._newest_s = float(voxels.seen_s[kept].max(initial=-np.inf))
        self._vectors[torch.from_numpy(slots)] = voxels.vectors[torch.from_numpy(kept)].half()

    def clear(self) -> None:
        """Remove all voxels."""
        self._remove(self._slots())

    def integrate(self, observation: Observation) -> None:
        """Add what a camera has seen to the voxels, and clear those that it has seen through.

        Raise Unusable if the vectors have another number of dimensions, or if all points lie
        farther from the origin than voxels can.
        """
        self._check_dimensions(observation.vectors)
        self._integrate(observation, self._mean_vectors)

    def integrate_votes(self, observation: Observation) -> None:
        """Add votes as `integrate` adds vectors that are 1 in one dimension and 0 in all others.

        The vectors, int64 [N, 1], are the numbers of these dimensions; others are no votes.
        """
        self._integrate(observation, self._mean_votes)

    def _integrate(self, observation: Observation, mean: _Mean) -> None:
        picked, keys, voxel_of = self._group(observation.points)
        if len(observation.points) and not len(picked):
            raise Unusable(
                'too far away',
                f'all that it shows is farther than {REACH * self.settings.voxel_size / 1000:g} km from the origin of '
                'the map: set map_frame to a nearer one',
            )
        self._follow_clock(observation.stamp_s)
        slots = self._slots_for(keys)
        weights = observation.weights[picked]
        total = np.bincount(voxel_of, weights, len(keys)).astype(np.float32)
        # A frame counts once, however many of its points lie in the voxel.
        gain = np.minimum(total, 1.0)
        share = gain / (self._weights[slots] + gain)
        vectors = observation.vectors[torch.from_numpy(picked)]
        shares = torch.from_numpy((weights / total[voxel_of]).astype(np.float32))
        means = mean(vectors, shares, torch.from_numpy(voxel_of), len(keys))
        self._blend_vectors(slots, means, share)
        for axis in range(3):
            sums = np.bincount(voxel_of, weights * observation.colors[picked, axis], len(keys))
            old = self._colors[slots, axis]
            self._colors[slots, axis] = np.rint(old + (sums / total - old) * share)
        self._weights[slots] = np.minimum(self._weights[slots] + gain, self.settings.most_weight)
        self._seen_s[slots] = observation.stamp_s
        if self.settings.clearing:
            self._clear_seen_through(observation.rays, slots)

    def _check_dimensions(self, vectors: Tensor) -> None:
        if vectors.shape[1] != self.dimensions:
            raise Unusable(
                'other dimensions', f'vectors of {vectors.shape[1]} dimensions in a map of {self.dimensions}'
            )

    def _follow_clock(self, stamp_s: float) -> None:
        """If the clock was set back, take voxels as older than now, or they outlive newer ones."""
        if stamp_s < self._newest_s - CLOCK_SLACK_S:
            np.minimum(self._seen_s, max(0.0, stamp_s - CLOCK_SLACK_S), out=self._seen_s)
            self._newest_s = stamp_s
        self._newest_s = max(self._newest_s, stamp_s)

    def _group(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the indices of the points that the map can hold, their voxels, and whose they are.

        The voxels are keys, each once; the last array has the index of the voxel of each point.
        """
        cells = np.floor(points / self.settings.voxel_size)
        picked = np.flatnonzero((np.abs(cells) < REACH).all(1))
        keys, voxel_of = np.unique(keys_of(cells[picked]), return_inverse=True)
        fits = voxel_of < self.settings.max_voxels
        return picked[fits], keys[: self.settings.max_voxels], voxel_of[fits]

    def _mean_vectors(self, vectors: Tensor, shares: Tensor, voxel_of: Tensor, count: int) -> Tensor:
        weighted = vectors.float() * shares[:, None]
        return torch.zeros(count, self.dimensions).index_add_(0, voxel_of, weighted)

    def _mean_votes(self, votes: Tensor, shares: Tensor, voxel_of: Tensor, count: int) -> Tensor:
        """Return what `_mean_vectors` would, without a row of all dimensions for each vote."""
        column = votes[:, 0]
        voted = (column >= 0) & (column < self.dimensions)
        places = voxel_of[voted] * self.dimensions + column[voted]
        return torch.zeros(count * self.dimensions).index_add_(0, places, shares[voted]).view(count, -1)

    def _blend_vectors(self, slots: np.ndarray, means: Tensor, share: np.ndarray) -> None:
        """Move the vector of each slot towards its new mean, float32 [N, D], by `share`."""
        rows = torch.from_numpy(slots.astype(np.int64))
        old = self._vectors.index_select(0, rows).float()
        self._vectors.index_copy_(0, rows, torch.lerp(old, means, torch.from_numpy(share)[:, None]).half())

    def _clear_seen_through(self, rays: Rays, hit: np.ndarray) -> None:
        """Lower the weight of voxels that rays pass; those in `hit` are seen by the same frame."""
        size = self.settings.voxel_size
        passed = np.zeros(self._used, bool)
        for samples in samples_along(rays, size):
            cells = np.floor(samples / size)
            slots = self._index.find(keys_of(cells[(np.abs(cells) < REACH).all(1)]))
            passed[slots[slots >= 0]] = True
        passed[hit] = False
        slots = np.flatnonzero(passed)
        self._weights[slots] -= self.settings.clearing
        self._remove(slots[self._weights[slots] < _LEAST_WEIGHT])

    def _slots(self) -> np.ndarray:
        # The weight of a slot without a voxel is zero.
        return np.flatnonzero(self._weights[: self._used])

    def _slots_for(self, keys: np.ndarray) -> np.ndarray:
        """Return the slots of these voxels, making those that are missing."""
        slots = self._index.find(keys)
        missing = slots < 0
        room = self.settings.max_voxels - len(self)
        if (count := int(missing.sum())) > room:
            self._evict(count - room, slots[~missing])
        slots[missing] = self._allocate(count)
        self._index.add(keys[missing], slots[missing])
        return slots

    def _allocate(self, count: int) -> np.ndarray:
        freed = np.concatenate([np.zeros(0, np.int64), *self._free])
        again, rest = freed[:count], freed[count:]
        self._free = [rest]
        fresh = np.arange(self._used, self._used + count - len(again))
        self._used += len(fresh)
        slots = np.concatenate([again, fresh])
        self._vectors[torch.from_numpy(slots)] = 0
        return slots

    def _evict(self, count: int, kept: np.ndarray) -> None:
        """Remove at least `count` voxels, those that were seen longest ago, but none of `kept`."""
        may_go = self._weights[: self._used] > 0
        may_go[kept] = False
        slots = np.flatnonzero(may_go)
        count = min(len(slots), max(count, int(_EVICTED_SHARE * len(slots))))
        oldest = np.argpartition(self._seen_s[slots], count - 1)[:count]
        self._remove(slots[oldest])
        self.evicted += count

    def _remove(self, slots: np.ndarray) -> None:
        self._index.remove(slots)
        self._weights[slots] = 0
        self._free.append(slots)
