# SPDX-License-Identifier: Apache-2.0
"""How far a student agrees with its teacher on frames that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from lseg_lab.adaptation.frame_store import Frame, FrameStore
from lseg_lab.evaluation.metrics import ConfusionMatrix
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelSet

# Pixels of neighbouring rows are redundant, and their vectors are long.
ROW_STEP = 8


@dataclass(frozen=True)
class FrameAgreement:
    """The mean cosine over a frame's pixels, and the share of them with the same answer."""

    frame: Frame
    cosine: float
    share: float


@dataclass(frozen=True)
class Agreement:
    """The agreement over some frames; the teacher's answers are the truth of `confusion`."""

    labels: LabelSet
    confusion: ConfusionMatrix
    frames: tuple[FrameAgreement, ...]

    @property
    def cosine(self) -> float:
        """Return the mean cosine between the embeddings of both."""
        return float(np.mean([each.cosine for each in self.frames]))

    @property
    def share(self) -> float:
        """Return the share of pixels to which both give the same answer."""
        return self.confusion.pixel_accuracy

    @property
    def commonest(self) -> float:
        """Return the share of pixels that have the teacher's commonest answer."""
        truth = self.confusion.truth
        return float(truth.max() / truth.sum())

    def classes(self) -> Mapping[str, Mapping[str, float]]:
        """Return, by class, what share of all pixels the teacher gives to it, and agreement.

        That is the share of the teacher's pixels to which the student gives the same answer, and
        the intersection over union. Classes that the teacher sees nowhere are left out.
        """
        confusion = self.confusion
        share, same, iou = confusion.truth / confusion.truth.sum(), confusion.recall, confusion.iou
        return {
            label.name: {'teacher': float(share[k]), 'same': float(same[k]), 'iou': float(iou[k])}
            for k, label in enumerate(self.labels.classes)
            if share[k]
        }

    def as_json(self) -> Mapping[str, object]:
        """Return plain numbers for JSON."""
        return {
            'frames': len(self.frames),
            'cosine': self.cosine,
            'same': self.share,
            'commonest': self.commonest,
            'classes': self.classes(),
        }


class Comparison:
    """Compares a student with stored embeddings of its teacher."""

    def __init__(self, teacher: Segmenter, student: Segmenter, store: FrameStore, labels: LabelSet) -> None:
        """Encode the labels; the teacher's image side is not run."""
        self._teacher, self._student, self._store, self._labels = teacher, student, store, labels
        self._prepared = student.prepare(labels)

    def answers(self, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a frame, uint8 [H, W, 3], and the ids of teacher and student, uint8 [H, W]."""
        image = self._store.image(frame)
        embedding = self._store.embedding(frame, image.shape[:2])
        theirs = self._teacher.segment_embedding(embedding, self._labels)
        ours = self._student.segment([image], self._prepared)[0]
        return image, theirs.ids, ours.ids

    def over(self, frames: Sequence[Frame], name: str) -> Agreement:
        """Return the agreement over at least one frame; `name` is shown beside the progress."""
        index = np.zeros(256, np.uint8)
        index[list(self._labels.ids)] = np.arange(len(self._labels.ids))
        confusion, each = ConfusionMatrix(len(self._labels.ids)), []
        for frame in tqdm(frames, name, unit='frame', disable=None):
            image, theirs, ours = self.answers(frame)
            confusion.update(index[theirs], index[ours])
            cosine = _mean_cosine(self._store.embedding(frame, image.shape[:2]), self._student.embed(image))
            each.append(FrameAgreement(frame, cosine, float(np.mean(theirs == ours))))
        return Agreement(self._labels, confusion, tuple(each))


def _mean_cosine(theirs: ImageEmbedding, ours: ImageEmbedding) -> float:
    """Return the mean cosine between two embeddings of an image, over every ROW_STEP-th row."""
    height = theirs.geometry.image[0]
    rows = range(min(ROW_STEP // 2, height - 1), height, ROW_STEP)
    cosines = [(theirs.rows(y, y + 1).to(ours.grid.device) * ours.rows(y, y + 1)).sum(-1).mean() for y in rows]
    return float(torch.stack(cosines).mean())
