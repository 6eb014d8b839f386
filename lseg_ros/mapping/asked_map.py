# SPDX-License-Identifier: Apache-2.0
"""A map of a file, asked in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lseg_ros.core.query import with_other
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelSet
from lseg_ros.mapping.asking import Answer, Question, answers_to
from lseg_ros.mapping.ground_grid import TRAVERSABLE, GroundLimits, ground_grid, traversable_ids
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, label_voxels, relevance
from lseg_ros.mapping.map_files import MapFacts
from lseg_ros.mapping.voxel_map import Voxels


class AskedMap:
    """Voxels with their labels, and the ground, for questions."""

    def __init__(
        self, voxels: Voxels, facts: MapFacts, segmenter: Segmenter, labels: LabelSet, ground: GroundLimits
    ) -> None:
        """Label the voxels.

        Texts compete with `labels`, of which those of the group traversable or, without one, those
        with the names TRAVERSABLE may be driven on. Raise ValueError, with both names, if the map
        is not of the segmenter's model.
        """
        self._facts, self._voxels = facts, voxels
        self._segmenter = segmenter
        labels = with_other(labels)
        encoded = EncodedLabels(labels, self._encode(labels.prompts))
        self._labelling = label_voxels(voxels.vectors, encoded)
        may_drive = traversable_ids(labels, TRAVERSABLE)
        self.ground = ground_grid(voxels, self._labelling.ids, may_drive, facts.voxel_size, ground)

    def ask(self, prompts: Sequence[str], question: Question) -> list[Answer]:
        """Return the answers to each prompt, in their order."""
        scores = relevance(self._voxels.vectors, prompts, self._encode(prompts), self._labelling)
        return answers_to(prompts, scores, self._voxels, self._facts.voxel_size, self.ground, question)

    def _encode(self, prompts: Sequence[str]) -> EncodedTexts:
        rows = self._segmenter.encode_prompts(prompts).cpu()
        return self._facts.project(EncodedTexts(rows, self._segmenter.logit_scale, self._segmenter.embedding_id))


def highlighted(colors: np.ndarray, answers: Sequence[Answer], tints: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Return colours of voxels, uint8 [N, 3], with the voxels of each answer in its tint."""
    result = colors.astype(np.float32)
    for answer, tint in zip(answers, tints):
        members = answer.thing.members
        result[members] = 0.35 * result[members] + 0.65 * np.array(tint)
    return np.rint(result).astype(np.uint8)
