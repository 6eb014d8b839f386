# SPDX-License-Identifier: Apache-2.0
"""A map of a file, asked in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lseg_ros.core.query import with_other
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelSet
from lseg_ros.mapping.asking import Answer, Question
from lseg_ros.mapping.ground_grid import TRAVERSABLE, GroundLimits
from lseg_ros.mapping.labelled_map import LabelledMap
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts
from lseg_ros.mapping.language_map import labels_of
from lseg_ros.mapping.map_files import MapFacts, check_model
from lseg_ros.mapping.voxel_map import Voxels


class AskedMap:
    """A labelled map, and the segmenter that encodes words for it."""

    def __init__(
        self, voxels: Voxels, facts: MapFacts, segmenter: Segmenter, labels: LabelSet, ground: GroundLimits
    ) -> None:
        """Label the voxels.

        Texts compete with `labels`, of which those of the group traversable or, without one, those
        with the names TRAVERSABLE may be driven on. Raise ValueError, with both names, if the map
        is not of the segmenter's model.
        """
        check_model(facts, segmenter.embedding_id)
        self._segmenter = segmenter
        labels = with_other(labels)
        found = labels_of(voxels, facts, EncodedLabels(labels, self._encode(labels.prompts)))
        self._map = LabelledMap(voxels, facts.voxel_size, labels, found, TRAVERSABLE, ground)

    def ask(self, prompts: Sequence[str], question: Question) -> list[Answer]:
        """Return the answers to each prompt, in their order."""
        answers, _ = self._map.ask(prompts, self._encode(prompts), question)
        return answers

    def _encode(self, prompts: Sequence[str]) -> EncodedTexts:
        rows = self._segmenter.encode_prompts(prompts).cpu()
        return EncodedTexts(rows, self._segmenter.logit_scale, self._segmenter.embedding_id)


def highlighted(colors: np.ndarray, answers: Sequence[Answer], tints: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Return colours of voxels, uint8 [N, 3], with the voxels of each answer in its tint."""
    result = colors.astype(np.float32)
    for answer, tint in zip(answers, tints):
        members = answer.thing.members
        result[members] = 0.35 * result[members] + 0.65 * np.array(tint)
    return np.rint(result).astype(np.uint8)
