# SPDX-License-Identifier: Apache-2.0
"""A voxel map together with the model whose vectors it holds."""

from __future__ import annotations

from pathlib import Path

from lseg_ros.mapping.map_files import MapFacts, check_model, read_map, write_map
from lseg_ros.mapping.observation import Observation
from lseg_ros.mapping.voxel_map import MapSettings, VoxelMap, Voxels


class LanguageMap:
    """Takes observations with vectors of one model, that of the first; saves and loads itself.

    Not thread-safe.
    """

    def __init__(self, settings: MapSettings, frame: str = 'map') -> None:
        """Start empty, in the frame called `frame`."""
        self._settings = settings
        self._frame = frame
        self._model = ''
        self._grid = VoxelMap(settings, 0)
        self.stamp_s = 0.0  # of the last observation

    def __len__(self) -> int:
        """Return the number of voxels."""
        return len(self._grid)

    @property
    def model(self) -> str:
        """The id of the model whose vectors the map holds; empty before the first."""
        return self._model

    @property
    def facts(self) -> MapFacts:
        """What the map is of."""
        return MapFacts(self._model, self._settings.voxel_size, self._frame)

    @property
    def evicted(self) -> int:
        """How many voxels had to make room for newer ones."""
        return self._grid.evicted

    def voxels(self) -> Voxels:
        """Return a copy of the content."""
        return self._grid.voxels()

    def add(self, model: str, observation: Observation) -> None:
        """Integrate an observation; raise ValueError with both names if it is of another model."""
        if self._model:
            check_model(self.facts, model)
        else:
            self._model = model
            self._grid = VoxelMap(self._settings, observation.vectors.shape[1])
        self._grid.integrate(observation)
        self.stamp_s = observation.stamp_s

    def save(self, path: Path) -> int:
        """Write the map; return the number of voxels.

        Raise OSError if that fails, and ValueError if the map is empty.
        """
        if not len(self):
            raise ValueError('the map is empty: there is nothing to save')
        write_map(path, self.voxels(), self.facts)
        return len(self)

    def load(self, path: Path, model: str = '') -> int:
        """Replace the content by that of a file; return the number of voxels.

        Raise OSError if it cannot be read, and ValueError if it is damaged, if its frame or the
        size of its voxels is another, or if it is not of `model`, by default that of the map; the
        map is as before.
        """
        voxels, facts = read_map(path)
        if model := model or self._model:
            check_model(facts, model)
        if facts.voxel_size != self._settings.voxel_size:
            raise ValueError(
                f'{path} has voxels of {facts.voxel_size:g} m, and the map of {self._settings.voxel_size:g} m: '
                'set voxel_size to that'
            )
        if facts.frame != self._frame:
            raise ValueError(
                f'{path} is in the frame {facts.frame}, and the map in {self._frame}: set map_frame to that'
            )
        grid = VoxelMap(self._settings, voxels.vectors.shape[1])
        grid.fill(voxels)
        self._grid, self._model = grid, facts.model
        self.stamp_s = float(voxels.seen_s.max(initial=0.0))
        return len(self)
