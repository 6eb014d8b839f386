# SPDX-License-Identifier: Apache-2.0
"""A map with its labels and its ground, asked in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lseg_ros.labels import LabelSet
from lseg_ros.mapping.asking import Answer, Question, Thing, find_things, place_before
from lseg_ros.mapping.ground_grid import GroundGrid, GroundLimits, ground_grid, traversable_ids
from lseg_ros.mapping.labelling import EncodedTexts
from lseg_ros.mapping.stored_map import VoxelLabels
from lseg_ros.mapping.voxel_map import Voxels


@dataclass(frozen=True)
class LabelledMap:
    """Voxels, whose size is in metres, with their labels: those of `known`, or none.

    The labels of the group traversable or, without one, those with the names `traversable` may be
    driven on.
    """

    voxels: Voxels
    voxel_size: float
    known: LabelSet | None
    labels: VoxelLabels
    traversable: Sequence[str]
    limits: GroundLimits

    @cached_property
    def ground(self) -> GroundGrid:
        """Where a robot may drive."""
        may_drive = traversable_ids(self.known, self.traversable) if self.known else ()
        return ground_grid(self.voxels, self.labels.ids, may_drive, self.voxel_size, self.limits)

    @cached_property
    def objects(self) -> list[tuple[str, Thing]]:
        """The connected voxels of each label, with its name."""
        ids, confidence = self.labels.ids, self.labels.confidence
        return [
            (label.name, thing)
            for label in (self.known.classes if self.known else ())
            for thing in find_things(self.voxels, np.where(ids == label.id, confidence, -1), 0.0, self.voxel_size)
        ]

    @property
    def colors(self) -> dict[str, tuple[int, int, int]]:
        """The colour of each label, R, G and B."""
        return {label.name: label.color for label in self.known.classes} if self.known else {}

    def ask(
        self, prompts: Sequence[str], texts: EncodedTexts | None, question: Question
    ) -> tuple[list[Answer], np.ndarray]:
        """Return the best answers to each prompt, in their order, and the relevance of all voxels.

        `texts` and the relevance, float32 [P, N], are those of `Relevance`. Raise ValueError for
        what cannot be compared.
        """
        scores = self.labels.relevance(prompts, texts)
        answers = [
            Answer(prompt, thing, place_before(thing, self.voxels, self.voxel_size, self.ground, question.limits))
            for prompt, score in zip(prompts, scores)
            for thing in find_things(self.voxels, score, question.minimum, self.voxel_size)[: question.top_k]
        ]
        return answers, scores
