# SPDX-License-Identifier: Apache-2.0
"""A voxel map that saves and loads itself, whatever its vectors are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.labelling import EncodedTexts
from lseg_ros.mapping.map_files import MapFacts, read_map, write_map
from lseg_ros.mapping.voxel_map import MapSettings, VoxelMap, Voxels


class Relevance(Protocol):
    """Compares voxels with words."""

    def __call__(self, prompts: Sequence[str], texts: EncodedTexts | None) -> np.ndarray:
        """Return how relevant each voxel is to each prompt, float32 [P, N], 0 to 1.

        `texts` has a row for each prompt; votes need none. Raise ValueError for what cannot be
        compared.
        """


@dataclass(frozen=True)
class VoxelLabels:
    """The id of the label of each voxel, uint8 [N], the confidence in it, float32 [N], 0 to 1."""

    ids: np.ndarray
    confidence: np.ndarray
    relevance: Relevance

    @classmethod
    def unknown(cls, count: int, relevance: Relevance) -> VoxelLabels:
        """Return `count` voxels without labels."""
        return cls(np.full(count, UNLABELLED, np.uint8), np.zeros(count, np.float32), relevance)


class StoredMap(ABC):
    """A voxel map with labels that saves and loads itself. Not thread-safe."""

    def __init__(self, settings: MapSettings, frame: str = 'map') -> None:
        """Start empty, in the frame called `frame`."""
        self._settings = settings
        self._frame = frame
        self._grid = VoxelMap(settings, 0)
        self.stamp_s = 0.0  # of the last observation

    def __len__(self) -> int:
        """Return the number of voxels."""
        return len(self._grid)

    @property
    @abstractmethod
    def facts(self) -> MapFacts:
        """What the map is of."""

    @property
    @abstractmethod
    def labels(self) -> LabelSet | None:
        """The labels in force; None before the first."""

    @abstractmethod
    def label(self, voxels: Voxels) -> VoxelLabels:
        """Return the labels of the content."""

    @property
    def evicted(self) -> int:
        """How many voxels had to make room for newer ones."""
        return self._grid.evicted

    def voxels(self) -> Voxels:
        """Return a copy of the content."""
        return self._grid.voxels()

    def save(self, path: Path) -> int:
        """Write the map; return the number of voxels.

        Raise OSError if that fails, and ValueError if the map is empty.
        """
        if not len(self):
            raise ValueError('the map is empty: there is nothing to save')
        write_map(path, self.voxels(), self.facts)
        return len(self)

    def load(self, path: Path) -> int:
        """Replace the content by that of a file; return the number of voxels.

        Raise OSError if it cannot be read, and ValueError if it is damaged, if its frame or the
        size of its voxels is another, or if its vectors are of another kind; the map is as before.
        """
        voxels, facts = read_map(path)
        self._check_kind(path, facts)
        if facts.voxel_size != self._settings.voxel_size:
            raise ValueError(
                f'{path} has voxels of {facts.voxel_size:g} m, and the map of {self._settings.voxel_size:g} m: '
                'set voxel_size to that'
            )
        if facts.frame != self._frame:
            raise ValueError(
                f'{path} is in the frame {facts.frame}, and the map in {self._frame}: set map_frame to that'
            )
        self._replace(voxels, facts)
        self.stamp_s = float(voxels.seen_s.max(initial=0.0))
        return len(self)

    @abstractmethod
    def _check_kind(self, path: Path, facts: MapFacts) -> None:
        """Raise ValueError if a file has vectors of another kind than the map."""

    def _replace(self, voxels: Voxels, facts: MapFacts) -> None:
        grid = VoxelMap(self._settings, voxels.vectors.shape[1])
        grid.fill(voxels)
        self._grid = grid
