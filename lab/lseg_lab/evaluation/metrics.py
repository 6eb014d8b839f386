# SPDX-License-Identifier: Apache-2.0
"""Pixel counts and the scores computed from them."""

from __future__ import annotations

import numpy as np


class ConfusionMatrix:
    """Counts of predicted class k where class c is true, over pixels of all images.

    `counts` is int64 [classes, classes + 1]; the last column counts predictions of no class.
    """

    def __init__(self, classes: int) -> None:
        """Start from zero for `classes` classes."""
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def update(self, truth: np.ndarray, answer: np.ndarray) -> None:
        """Add an image: class indices uint8, both of one shape.

        Pixels without a true class are not counted; predicting no class is wrong.
        """
        classes = len(self.counts)
        counted = truth < classes
        answered = np.minimum(answer[counted].astype(np.int64), classes)
        pairs = truth[counted].astype(np.int64) * (classes + 1) + answered
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def truth(self) -> np.ndarray:
        """Return the number of true pixels of each class, int64 [classes]."""
        return self.counts.sum(1)

    @property
    def iou(self) -> np.ndarray:
        """Return intersection over union per class, float64 [classes]; NaN if absent."""
        hit = np.diagonal(self.counts)
        iou = _ratio(hit, self.truth + self.answers - hit)
        return np.where(self.truth > 0, iou, np.nan)

    @property
    def answers(self) -> np.ndarray:
        """Return the number of pixels predicted as each class, int64 [classes]."""
        return self.counts[:, :-1].sum(0)

    @property
    def precision(self) -> np.ndarray:
        """Return the share of each class's predictions that are right, float64 [classes]."""
        return _ratio(np.diagonal(self.counts), self.answers)

    @property
    def recall(self) -> np.ndarray:
        """Return the share of each class's pixels that are found, float64 [classes]."""
        return _ratio(np.diagonal(self.counts), self.truth)

    @property
    def mean_iou(self) -> float:
        """Return the mean IoU of the classes present; NaN if there are none."""
        present = self.iou[self.truth > 0]
        return float(present.mean()) if present.size else float('nan')

    @property
    def pixel_accuracy(self) -> float:
        """Return the share of counted pixels that are right; NaN if there are none."""
        total = self.counts.sum()
        return float(np.trace(self.counts[:, :-1]) / total) if total else float('nan')


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where `whole` is 0."""
    with np.errstate(invalid='ignore', divide='ignore'):
        ratio: np.ndarray = part / whole
    return ratio


class Reliability:
    """Confidence against accuracy in equal bins, and the expected calibration error.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """

    def __init__(self, bins: int = 15) -> None:
        """Start from zero."""
        self.count = np.zeros(bins, np.int64)
        self.right = np.zeros(bins, np.int64)
        self.confidence = np.zeros(bins)

    def update(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Add pixels: confidence in 0..1 and whether each is right, of one shape."""
        confidence, right = confidence.ravel(), right.ravel()
        bins = len(self.count)
        index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
        self.count += np.bincount(index, minlength=bins)
        self.right += np.bincount(index[right], minlength=bins)
        self.confidence += np.bincount(index, weights=confidence, minlength=bins)

    @property
    def expected_calibration_error(self) -> float:
        """Return the mean gap between confidence and accuracy; NaN if no pixels."""
        total = self.count.sum()
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float('nan')
