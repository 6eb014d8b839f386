# SPDX-License-Identifier: Apache-2.0
"""A voxel map of embeddings, together with the model whose vectors it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from lseg_ros.labels import LabelSet
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, label_voxels, relevance
from lseg_ros.mapping.map_files import MapFacts, check_model
from lseg_ros.mapping.observation import Observation
from lseg_ros.mapping.principal_axes import along_axes, principal_axes
from lseg_ros.mapping.stored_map import StoredMap, VoxelLabels
from lseg_ros.mapping.unusable import Unusable
from lseg_ros.mapping.voxel_map import MapSettings, VoxelMap, Voxels

# Voxels from which the axes of shorter vectors are learned: those of a room.
LEARNING_VOXELS = 20_000


class LanguageMap(StoredMap):
    """Takes observations with vectors of one model, that of its voxels, and any labels.

    With `embedding_dims` of the settings, longer vectors are kept whole until the map has
    LEARNING_VOXELS voxels; then their principal axes are learned, and all that follows is kept
    along these axes only.
    """

    def __init__(self, settings: MapSettings, frame: str = 'map') -> None:
        """Start empty, in the frame called `frame`."""
        super().__init__(settings, frame)
        self._model = ''
        self._axes: Tensor | None = None
        self._encoded: EncodedLabels | None = None

    @property
    def model(self) -> str:
        """The id of the model whose vectors the map takes; an empty map takes those of any."""
        return self._model

    @property
    def facts(self) -> MapFacts:
        """What the map is of."""
        return MapFacts(self._model, self._settings.voxel_size, self._frame, self._axes)

    @property
    def labels(self) -> LabelSet | None:
        """The labels in force; None before the first."""
        return self._encoded.labels if self._encoded else None

    def use_labels(self, encoded: EncodedLabels) -> None:
        """Put labels into force; raise Unusable with both names if they are of another model."""
        if len(self):
            check_model(self.facts, encoded.texts.model)
        self._encoded = encoded

    def add(self, model: str, observation: Observation) -> None:
        """Integrate an observation.

        Raise Unusable, with both names, if it is of another model, and if its vectors have not as
        many dimensions as the texts of the labels or as those of the map, or if all its points lie
        farther away than voxels can.
        """
        texts, dimensions = self._encoded.texts if self._encoded else None, observation.vectors.shape[1]
        if texts and texts.model == model and texts.rows.shape[1] != dimensions:
            raise Unusable(
                'other dimensions',
                f'vectors of {dimensions} dimensions, but texts of {model} have {texts.rows.shape[1]}',
            )
        if len(self):
            check_model(self.facts, model)
        elif model != self._model or self._shortened(observation).vectors.shape[1] != self._grid.dimensions:
            self._grid = VoxelMap(self._settings, observation.vectors.shape[1])
            self._model, self._axes = model, None
        self._grid.integrate(self._shortened(observation))
        self.stamp_s = observation.stamp_s
        self._learn_axes()

    def label(self, voxels: Voxels) -> VoxelLabels:
        """Return the labels of the content, see `labels_of`."""
        return labels_of(voxels, self.facts, self._encoded)

    def _shortened(self, observation: Observation) -> Observation:
        vectors, axes = observation.vectors, self._axes
        if axes is None or vectors.shape[1] != axes.shape[0]:
            return observation  # which is refused later if it does not fit
        return replace(observation, vectors=along_axes(vectors, axes))

    def _learn_axes(self) -> None:
        """Keep the vectors along their principal axes from now on, if it is time for that."""
        dimensions, most = self._settings.embedding_dims, self._settings.max_voxels
        if not 0 < dimensions < self._grid.dimensions or len(self) < min(LEARNING_VOXELS, most // 2):
            return
        voxels, evicted = self.voxels(), self.evicted
        axes = principal_axes(voxels.vectors, dimensions)
        self._axes = axes if self._axes is None else self._axes @ axes  # a file's vectors may be short already
        self._grid = VoxelMap(self._settings, dimensions)
        self._grid.fill(replace(voxels, vectors=along_axes(voxels.vectors, axes)))
        self._grid.evicted = evicted

    def _check_kind(self, path: Path, facts: MapFacts) -> None:
        if facts.names:
            raise ValueError(f'{path} has votes for labels, not embeddings: set input to label_image')
        known = self._encoded.texts.model if self._encoded else ''
        if model := (self._model if len(self) else known):
            check_model(facts, model)

    def _replace(self, voxels: Voxels, facts: MapFacts) -> None:
        super()._replace(voxels, facts)
        self._model, self._axes = facts.model, facts.axes
        self._learn_axes()


def labels_of(voxels: Voxels, facts: MapFacts, encoded: EncodedLabels | None) -> VoxelLabels:
    """Return the labels of voxels, all unknown if there are none or they are of another model.

    Raise ValueError if the texts of the labels have other dimensions than the vectors, or than the
    axes of the map. What is returned raises it, too, when it is asked for the relevance of texts of
    another model, or without any labels to compare with.
    """
    labelling = None
    if encoded is not None and encoded.texts.model == facts.model:
        labelling = label_voxels(voxels.vectors, replace(encoded, texts=facts.project(encoded.texts)))

    def ask(prompts: Sequence[str], texts: EncodedTexts | None) -> np.ndarray:
        if labelling is None or texts is None:
            if encoded is not None:
                check_model(facts, encoded.texts.model)
            raise ValueError('the map has no labels yet to compare with')
        return relevance(voxels.vectors, prompts, facts.project(texts), labelling)

    if labelling is None:
        return VoxelLabels.unknown(len(voxels), ask)
    return VoxelLabels(labelling.ids, labelling.confidence, ask)
