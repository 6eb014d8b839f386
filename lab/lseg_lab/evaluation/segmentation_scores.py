# SPDX-License-Identifier: Apache-2.0
"""Pixel accuracy and mIoU on a data set for semantic segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_lab.evaluation.protocols import Evaluator
from lseg_lab.evaluation.segmentation_sets import LabelledImage, SegmentationSet
from lseg_ros.labels.ids import UNLABELLED


@dataclass(frozen=True)
class SegmentationScores:
    """Scores in per cent; class IoU by name, in the order of the classes."""

    pixel_accuracy: float
    mean_iou: float
    iou: list[tuple[str, float]]


class PixelCounter:
    """Counts the pixels of one image after another."""

    def __init__(
        self, dataset: SegmentationSet, evaluator: Evaluator, text: Tensor, background: float | None = None
    ) -> None:
        """Ask for `text`, one row per class of `dataset`.

        If `background` is given, the first class is the background, which scores so much
        everywhere, and `text` has no row for it.
        """
        self.dataset, self.evaluator, self.text, self.background = dataset, evaluator, text, background

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of an image's counts.

        Rows: intersection, predicted where labelled, true; columns: classes.
        """
        return 3, len(self.dataset.names)

    def __call__(self, labelled: LabelledImage) -> np.ndarray:
        """Segment an image and count its pixels, int64 [3, C]; raise OSError for a bad file."""
        image, truth = self.dataset.read(labelled)
        scores = self.evaluator(image, self.text)
        if self.background is not None:
            scores = torch.cat((torch.full_like(scores[:1], self.background), scores))
        answer = scores.argmax(0).cpu().numpy()
        counted = truth != UNLABELLED
        rows = (truth[counted & (answer == truth)], answer[counted], truth[counted])
        return np.stack([np.bincount(values, minlength=self.shape[1]) for values in rows])


def segmentation_scores(
    names: Sequence[str], counts: np.ndarray, *, absent_scores_zero: bool = False
) -> SegmentationScores:
    """Return the scores for the counts [N, 3, C] of all images.

    mIoU is the mean over the classes that are true or predicted somewhere or, with
    `absent_scores_zero`, over all of them. The IoU of an absent class is 0.
    """
    intersection, answered, true = counts.sum(0)
    union = answered + true - intersection
    iou = intersection / np.maximum(union, 1)
    scored = iou if absent_scores_zero else iou[union > 0]
    return SegmentationScores(
        100 * float(intersection.sum() / max(true.sum(), 1)),
        100 * float(scored.mean()) if scored.size else 0.0,
        [(name, 100 * float(value)) for name, value in zip(names, iou)],
    )
