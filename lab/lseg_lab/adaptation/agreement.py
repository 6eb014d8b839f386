# SPDX-License-Identifier: Apache-2.0
"""How far a student agrees with its teacher on frames that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from lseg_lab.adaptation.frame_store import Frame, FrameStore
from lseg_lab.adaptation.scene_checks import SceneChecks
from lseg_lab.evaluation.metrics import ConfusionMatrix
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelSet

# Pixels of neighbouring rows are redundant, and their vectors are long.
ROW_STEP = 8
# The teacher is asked again, about mirrored frames, on about this many frames of each part.
MIRRORED_FRAMES = 50


@dataclass(frozen=True)
class FrameAnswers:
    """What both networks say of a frame.

    `image` is uint8 [H, W, 3]; `theirs` and `ours` are the ids of teacher and student, uint8
    [H, W]; `cosine` is the mean cosine of their embeddings.
    """

    image: np.ndarray
    theirs: np.ndarray
    ours: np.ndarray
    cosine: float


@dataclass(frozen=True)
class FrameAgreement:
    """How far both networks agree on a frame.

    Attributes:
        frame: the frame.
        cosine: mean over its pixels.
        share: of the pixels, with the same answer of both.
        mirrored: share with the same answer of the teacher if the frame is mirrored; None for
            frames on which it was not asked again.
    """

    frame: Frame
    cosine: float
    share: float
    mirrored: float | None


@dataclass(frozen=True)
class Agreement:
    """The agreement over some frames; the teacher's answers are the truth of `confusion`.

    `scene` has what geometry says of both, on those of the frames that have depth and a pose.
    """

    labels: LabelSet
    confusion: ConfusionMatrix
    frames: tuple[FrameAgreement, ...]
    scene: SceneChecks

    @property
    def cosine(self) -> float:
        """Return the mean cosine between the embeddings of both."""
        return float(np.mean([each.cosine for each in self.frames]))

    @property
    def share(self) -> float:
        """Return the share of pixels to which both give the same answer."""
        return self.confusion.pixel_accuracy

    @property
    def mirrored(self) -> float:
        """Return the share to which the teacher gives the same answer if a frame is mirrored.

        Where its own answer depends on that, no student can be expected to agree.
        """
        return float(np.mean([each.mirrored for each in self.frames if each.mirrored is not None]))

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
            'teacher_mirrored': self.mirrored,
            'commonest': self.commonest,
            'classes': self.classes(),
            **({'geometry': self.scene.as_json()} if self.scene.frames else {}),
        }


class Comparison:
    """Compares a student with stored embeddings of its teacher."""

    def __init__(self, teacher: Segmenter, student: Segmenter, store: FrameStore, labels: LabelSet) -> None:
        """Compare by the answers to `labels`."""
        self._teacher, self._student, self._store, self._labels = teacher, student, store, labels
        self._prepared = teacher.prepare(labels)

    def answers(self, frame: Frame) -> FrameAnswers:
        """Return what both networks say, the teacher by its stored embedding."""
        image = self._store.image(frame)
        theirs, ours = self._store.embedding(frame, image.shape[:2]), self._student.embed(image)
        return FrameAnswers(
            image,
            self._teacher.segment_embedding(theirs, self._labels).ids,
            self._student.segment_embedding(ours, self._labels).ids,
            _mean_cosine(theirs, ours),
        )

    def over(self, frames: Sequence[Frame], name: str, scene: SceneChecks) -> Agreement:
        """Return the agreement over at least one frame; `name` is shown beside the progress.

        The answers are added to `scene`, too.
        """
        index = np.zeros(256, np.uint8)
        index[list(self._labels.ids)] = np.arange(len(self._labels.ids))
        confusion, each = ConfusionMatrix(len(self._labels.ids)), []
        again = set(frames[:: -(-len(frames) // MIRRORED_FRAMES)])
        for frame in tqdm(frames, name, unit='frame', disable=None):
            found = self.answers(frame)
            confusion.update(index[found.theirs], index[found.ours])
            scene.add(frame, found.theirs, found.ours)
            mirrored = self._mirrored(found) if frame in again else None
            each.append(FrameAgreement(frame, found.cosine, float(np.mean(found.theirs == found.ours)), mirrored))
        return Agreement(self._labels, confusion, tuple(each), scene)

    def _mirrored(self, found: FrameAnswers) -> float:
        ids = self._teacher.segment([found.image[:, ::-1]], self._prepared)[0].ids
        return float(np.mean(ids[:, ::-1] == found.theirs))


def _mean_cosine(theirs: ImageEmbedding, ours: ImageEmbedding) -> float:
    """Return the mean cosine between two embeddings of an image, over every ROW_STEP-th row."""
    height = theirs.geometry.image[0]
    first = min(ROW_STEP // 2, height - 1)
    # All rows at once: hundreds of small operations would each wait for the other threads.
    rows = (each.rows(first, height, ROW_STEP).to(ours.grid.device) for each in (theirs, ours))
    return float(torch.mul(*rows).sum(-1).mean())
