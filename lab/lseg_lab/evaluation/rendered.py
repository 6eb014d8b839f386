# SPDX-License-Identifier: Apache-2.0
"""Score models on rooms rendered by `lseg rooms` that were not used in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from lseg_lab.evaluation.folder import Example
from lseg_lab.evaluation.score import Score, score
from lseg_lab.training.dataset import LabelledFolder
from lseg_lab.training.vocabulary import Vocabulary
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.labels.syntax import parse_label

ROBOT_LABELS = (
    'floor', 'wall', 'ceiling', 'door', 'window', 'curtain', 'chair', 'sofa', 'table', 'bed',
    'cabinet', 'picture', 'lamp', 'television', 'plant', 'person', 'toilet', 'sink', 'trash can',
    'box',
)  # fmt: skip


class RoomExamples:
    """Images of rooms with masks over the asked names; iterating reads them."""

    def __init__(
        self, folder: LabelledFolder, vocabulary: Vocabulary, asked: Sequence[str], images: Sequence[int]
    ) -> None:
        """Translate masks to `asked` for the images with these indices.

        A class maps to its own name or the nearest broader one; if there is none, or more than one,
        its pixels are not counted.
        """
        self._folder, self._images = folder, images
        self._table = np.full(256, UNLABELLED, np.uint8)
        for index, name in enumerate(folder.classes):
            answers = (name,) if name in asked else vocabulary.answers(name, asked)
            if len(answers) == 1:
                self._table[index] = asked.index(answers[0])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __iter__(self) -> Iterator[Example]:
        """Read the images in turn."""
        for index in self._images:
            image, mask = self._folder.read(index)
            yield Example(self._folder.pairs[index][0].stem, image, cv2.LUT(mask, self._table))


def room_examples(folder: LabelledFolder, vocabulary: Vocabulary, asked: Sequence[str], limit: int) -> RoomExamples:
    """Return at most `limit` images, spread evenly over the folder."""
    return RoomExamples(folder, vocabulary, asked, spread(folder, limit))


def spread(folder: LabelledFolder, limit: int) -> list[int]:
    """Return the indices of at most `limit` images, spread evenly; raise ValueError below 1."""
    if limit < 1:
        raise ValueError(f'the limit must be at least 1 image, not {limit}')
    count = len(folder.pairs)
    return np.linspace(0, count - 1, min(limit, count)).astype(int).tolist()


def score_label_set(
    segmenter: Segmenter,
    folder: LabelledFolder,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    *,
    limit: int = 400,
    other: bool = False,
) -> Score:
    """Score one label set (`name` or `name=prompt|prompt`) on at most `limit` images.

    Classes count under their own name or the nearest broader one that is among the labels' names.
    """
    names = [parse_label(label)[0] for label in labels]
    examples = room_examples(folder, vocabulary, names, limit)
    return score(segmenter, labels, examples, other=other)


def score_rooms(
    segmenter: Segmenter, folder: LabelledFolder, vocabulary: Vocabulary, limit: int = 400
) -> dict[str, Score]:
    """Return the scores that a model card states, on at most `limit` images of the folder.

    all_classes: every trained class is asked at once. robot_labels: ROBOT_LABELS. trained_names and
    held_out_names: pixels of the classes with a held-out synonym, asked together with all other
    classes, once by trained name and once by synonym. left_out: all classes are asked, including
    those never trained, and only pixels of the latter count.
    """
    trained = [name for name in folder.classes if name not in vocabulary.left_out]
    held_out = {name: vocabulary.concept(name).held_out for name in trained}
    renamed = {name: texts for name, texts in held_out.items() if texts}
    first = [*renamed, *(name for name in trained if name not in renamed)]
    unseen = [name for name in folder.classes if name in vocabulary.left_out]

    def ask(names: Sequence[str], counted: int, prompts: Mapping[str, tuple[str, ...]]) -> Score:
        labels = [f'{n}={"|".join(prompts[n])}' if n in prompts else n for n in names]
        examples = room_examples(folder, vocabulary, names, limit)
        return score(segmenter, labels, _only(examples, counted))

    scores = {'all_classes': ask(trained, len(trained), {}), 'robot_labels': ask(ROBOT_LABELS, len(ROBOT_LABELS), {})}
    if renamed:
        scores['trained_names'] = ask(first, len(renamed), {})
        scores['held_out_names'] = ask(first, len(renamed), renamed)
    if unseen:
        scores['left_out'] = ask([*unseen, *trained], len(unseen), {})
    return scores


def _only(examples: RoomExamples, count: int) -> Iterator[Example]:
    """Count only the pixels of the first `count` labels."""
    for example in examples:
        mask = np.where(example.mask < count, example.mask, UNLABELLED).astype(np.uint8)
        yield Example(example.name, example.image, mask)
