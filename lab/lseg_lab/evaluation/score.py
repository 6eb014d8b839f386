# SPDX-License-Identifier: Apache-2.0
"""Score a segmenter on labelled examples with the code that the node runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from lseg_lab.evaluation.folder import Example
from lseg_lab.evaluation.metrics import ConfusionMatrix, Reliability
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.ids import OTHER, UNLABELLED

CONFIDENT = 0.9  # from this confidence on, a robot may act on a pixel's label


@dataclass(frozen=True)
class Score:
    """The scores for one label set; `confident` counts only pixels of at least CONFIDENT."""

    labels: tuple[str, ...]
    confusion: ConfusionMatrix
    confident: ConfusionMatrix
    reliability: Reliability
    images: int

    def summary(self) -> dict[str, float]:
        """Return the scores of the whole set."""
        return {
            'miou': self.confusion.mean_iou,
            'pixel_accuracy': self.confusion.pixel_accuracy,
            'calibration_error': self.reliability.expected_calibration_error,
            'images': self.images,
        }

    def per_class(self) -> dict[str, float]:
        """Return IoU by label, for the labels present."""
        iou = self.confusion.iou
        return {name: float(v) for name, v in zip(self.labels, iou) if not np.isnan(v)}

    def errors(self) -> dict[str, dict[str, float]]:
        """Return how reliably each label is found, by label, for the labels present.

        Besides precision and recall: false_positive_rate, the share of all other classes' pixels
        that the label takes, and confident_false_positive_rate, the share that it takes with a
        confidence of at least CONFIDENT.
        """
        others = self.confusion.counts.sum() - self.confusion.truth
        wrong, confidently_wrong = (
            matrix.answers - np.diagonal(matrix.counts) for matrix in (self.confusion, self.confident)
        )
        columns = {
            'precision': self.confusion.precision,
            'recall': self.confusion.recall,
            'false_positive_rate': wrong / np.maximum(others, 1),
            'confident_false_positive_rate': confidently_wrong / np.maximum(others, 1),
        }
        present = np.flatnonzero(self.confusion.truth)
        return {self.labels[k]: {name: float(values[k]) for name, values in columns.items()} for k in present}

    def as_json(self) -> Mapping[str, object]:
        """Return plain numbers for JSON."""
        return {**self.summary(), 'iou': self.per_class(), 'errors': self.errors()}


def score(segmenter: Segmenter, labels: Sequence[str], examples: Iterable[Example], *, other: bool = False) -> Score:
    """Ask for all `labels` (`name` or `name=prompt|prompt`) at once in every example.

    Mask value i means labels[i]; higher values are not counted. With `other`, the label for "none
    of these" is asked as well; it is never right.
    """
    label_set = LabelRegistry(include_other=other).replace(labels)
    prepared = segmenter.prepare(label_set)
    names = tuple(label.name for label in label_set.classes if label.id != OTHER)
    confusion, confident = ConfusionMatrix(len(names)), ConfusionMatrix(len(names))
    reliability, count = Reliability(), 0
    for example in tqdm(examples, 'scoring', unit='image', leave=False):
        result = segmenter.segment([example.image], prepared)[0]
        # ids are 1..K in the order of the labels; 0 means other
        answer = np.where(result.ids == OTHER, UNLABELLED, result.ids - 1).astype(np.uint8)
        confusion.update(example.mask, answer)
        sure = result.confidence >= CONFIDENT * 255
        confident.update(np.where(sure, example.mask, UNLABELLED), answer)
        counted = example.mask < len(names)
        confidence = result.confidence[counted] / 255.0
        reliability.update(confidence, answer[counted] == example.mask[counted])
        count += 1
    return Score(names, confusion, confident, reliability, count)
