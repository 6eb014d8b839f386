# SPDX-License-Identifier: Apache-2.0
"""Counts over pixels, and the scores that follow from them."""

from __future__ import annotations

import numpy as np


class ConfusionMatrix:
    """How often class k was answered where class c is true, over pixels pooled from all images.

    `counts` is int64 [classes, classes + 1]; the last column counts answers that are none of
    the classes.
    """

    def __init__(self, classes: int) -> None:
        """Start from zero for that many classes."""
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def update(self, truth: np.ndarray, answer: np.ndarray) -> None:
        """Add an image: class indices uint8, of one shape.

        Pixels whose truth is no class are not counted; an answer that is no class is wrong.
        """
        classes = len(self.counts)
        counted = truth < classes
        answered = np.minimum(answer[counted].astype(np.int64), classes)
        pairs = truth[counted].astype(np.int64) * (classes + 1) + answered
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def truth(self) -> np.ndarray:
        """Pixels that truly are of each class, int64 [classes]."""
        return self.counts.sum(1)

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class, float64 [classes]; NaN where none is true."""
        hit = np.diagonal(self.counts)
        union = self.truth + self.counts[:, :-1].sum(0) - hit
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.where(self.truth > 0, hit / union, np.nan)

    @property
    def mean_iou(self) -> float:
        """The mean IoU of the classes present; NaN if none is."""
        present = self.iou[self.truth > 0]
        return float(present.mean()) if present.size else float('nan')

    @property
    def pixel_accuracy(self) -> float:
        """The share of the counted pixels that are answered right; NaN if there are none."""
        total = self.counts.sum()
        return float(np.trace(self.counts[:, :-1]) / total) if total else float('nan')


class Reliability:
    """Confidence against accuracy in equal bins, and the expected calibration error of both.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """

    def __init__(self, bins: int = 15) -> None:
        """Start from zero."""
        self.count = np.zeros(bins, np.int64)
        self.right = np.zeros(bins, np.int64)
        self.confidence = np.zeros(bins)

    def update(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Add pixels: confidence in 0..1 and whether the answer is right, of one shape."""
        confidence, right = confidence.ravel(), right.ravel()
        bins = len(self.count)
        index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
        self.count += np.bincount(index, minlength=bins)
        self.right += np.bincount(index[right], minlength=bins)
        self.confidence += np.bincount(index, weights=confidence, minlength=bins)

    @property
    def expected_calibration_error(self) -> float:
        """The mean gap of confidence and accuracy over all pixels; NaN if there are none."""
        total = self.count.sum()
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float('nan')
