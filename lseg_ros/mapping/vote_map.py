# SPDX-License-Identifier: Apache-2.0
"""A voxel map of votes for labels, for segmentation without embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.labels.syntax import quote
from lseg_ros.mapping.labelling import EncodedTexts
from lseg_ros.mapping.map_files import MapFacts, check_model
from lseg_ros.mapping.observation import Observation
from lseg_ros.mapping.stored_map import StoredMap, VoxelLabels
from lseg_ros.mapping.unusable import Unusable
from lseg_ros.mapping.voxel_map import MapSettings, VoxelMap, Voxels

VOTES = 'votes for labels'  # instead of the id of a model
MOST_NAMES = 512


class VoteMap(StoredMap):
    """Takes observations with ids of labels; a voxel keeps the share of each name among its votes.

    Votes are kept by name, since an id may be given to another name later. A name that is not among
    the labels in force keeps its votes, but is no voxel's label. The map can be asked for its
    labels only.
    """

    def __init__(self, settings: MapSettings, frame: str = 'map') -> None:
        """Start empty, in the frame called `frame`."""
        super().__init__(settings, frame)
        self._names: tuple[str, ...] = ()
        self._labels: LabelSet | None = None

    @property
    def facts(self) -> MapFacts:
        """What the map is of."""
        return MapFacts(VOTES, self._settings.voxel_size, self._frame, names=self._names)

    @property
    def labels(self) -> LabelSet | None:
        """The labels in force; None before the first."""
        return self._labels

    def use_labels(self, labels: LabelSet) -> None:
        """Put labels into force: only votes for their names count."""
        self._labels = labels

    def add(self, labels: LabelSet, observation: Observation) -> None:
        """Integrate an observation whose vectors, uint8 [N, 1], are ids of `labels`.

        An id without a label, such as UNLABELLED, is no vote. Raise Unusable if there would be
        more than MOST_NAMES names, or if all points lie farther away than voxels can.
        """
        self._make_room(labels.names)
        column_of = torch.full((256,), len(self._names))
        column_of[list(labels.ids)] = torch.tensor([self._names.index(name) for name in labels.names])
        self._grid.integrate_votes(replace(observation, vectors=column_of[observation.vectors.long()]))
        self.stamp_s = observation.stamp_s

    def label(self, voxels: Voxels) -> VoxelLabels:
        """Return the label of the labels in force that has most votes; without any, UNLABELLED."""
        shares = _shares(voxels.vectors)
        ask = partial(self._relevance, shares)
        known = [label for label in self._labels.classes if label.name in self._names] if self._labels else []
        if not known:
            return VoxelLabels.unknown(len(voxels), ask)
        share, winner = shares[:, [self._names.index(label.name) for label in known]].max(1)
        ids = np.array([label.id for label in known], np.uint8)[winner.numpy()]
        ids[share.numpy() == 0] = UNLABELLED
        return VoxelLabels(ids, share.numpy(), ask)

    def _relevance(self, shares: Tensor, prompts: Sequence[str], texts: EncodedTexts | None) -> np.ndarray:
        """Return the share of votes for the label that each prompt names, or is a prompt of."""
        columns = [self._names.index(self._named(prompt)) for prompt in prompts]
        return shares[:, columns].T.contiguous().numpy()

    def _named(self, prompt: str) -> str:
        if prompt in self._names:
            return prompt
        for label in self._labels.classes if self._labels else ():
            if prompt in label.prompts and label.name in self._names:
                return label.name
        raise ValueError(
            f'{quote(prompt)} is no label of this map, which has votes for labels instead of embeddings; '
            f'it can be asked for {", ".join(map(quote, self._names))}'
        )

    def _make_room(self, names: Sequence[str]) -> None:
        """Add columns for names that have none."""
        fresh = tuple(name for name in names if name not in self._names)
        if not fresh:
            return
        if len(self._names) + len(fresh) > MOST_NAMES:
            raise Unusable(
                'too many names', f'votes for more than {MOST_NAMES} names of labels: clean the map up first'
            )
        voxels, evicted = self.voxels(), self.evicted
        self._names += fresh
        self._grid = VoxelMap(self._settings, len(self._names))
        self._grid.fill(replace(voxels, vectors=F.pad(voxels.vectors, (0, len(fresh)))))
        self._grid.evicted = evicted

    def _check_kind(self, path: Path, facts: MapFacts) -> None:
        if not facts.names:
            raise ValueError(f'{path} has embeddings, not votes for labels: set input to embedding')
        check_model(facts, VOTES)

    def _replace(self, voxels: Voxels, facts: MapFacts) -> None:
        super()._replace(voxels, facts)
        self._names = facts.names


def _shares(votes: Tensor) -> Tensor:
    """Return votes [N, K] as shares of their sum, float32."""
    values = votes.float()
    return values / values.sum(1, keepdim=True).clamp_min(1e-6)
