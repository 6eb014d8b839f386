# SPDX-License-Identifier: Apache-2.0
"""Fit the temperature that calibrates a model's confidence (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.evaluation.folder import Example
from lseg_ros.core.decision import interpolate, sample
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.labels.ids import OTHER

WIDEST = 64.0  # the largest change of the calibration in one fit, as a factor
PIXELS = 500  # of each example
LIMITS = (1e-3, 1e3)  # of a network's calibration


def fit_calibration(
    segmenter: Segmenter, labels: Sequence[str], examples: Iterable[Example], *, other: bool = False
) -> float:
    """Return the calibration with the least negative log-likelihood of the masks.

    `labels` (`name` or `name=prompt|prompt`) are asked for at once, with the label for "none of
    these" if `other`. Mask value i means labels[i]; higher values are not counted. At most
    PIXELS random pixels of each example are used. Raise ValueError if no pixel is labelled.
    """
    label_set = LabelRegistry(include_other=other).replace(labels)
    text, rng = segmenter.model.encode_text(label_set.prompts), np.random.default_rng(0)
    drawn = [_draw(segmenter, text, label_set, example, rng) for example in examples]
    logits, truth = (torch.cat(parts) for parts in zip(*drawn))
    if not len(truth):
        raise ValueError('cannot calibrate: none of the images has a labelled pixel')
    return float(np.clip(segmenter.model.calibration * _minimise(logits, truth), *LIMITS))


def _draw(
    segmenter: Segmenter, text: Tensor, labels: LabelSet, example: Example, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return calibrated logits [N, C] and the classes' indices [N] of random labelled pixels."""
    logits, geometry = segmenter.compare(example.image, text)
    parts = logits.cpu().split([len(label.prompts) for label in labels.classes])
    scores = torch.stack([part.amax(0) for part in parts])  # the best prompt of a class counts
    scores = interpolate(scores[None], geometry.decision, geometry.step(scores.shape[1:]))[0].flatten(1)
    mask = torch.from_numpy(sample(example.mask[None], geometry.decision)[0]).flatten().long()
    first = int(OTHER in labels.ids)  # which comes before the labels and is never right
    labelled = np.flatnonzero(mask.numpy() < len(scores) - first)
    chosen = torch.from_numpy(rng.permutation(labelled)[:PIXELS])
    return scores[:, chosen].T.clone(), mask[chosen] + first


def _minimise(logits: Tensor, truth: Tensor) -> float:
    """Search log T within WIDEST by golden section; the likelihood has one maximum."""
    ratio = (5**0.5 - 1) / 2
    low, high = -np.log(WIDEST), np.log(WIDEST)

    def loss(log_t: float) -> float:
        return F.cross_entropy(logits / float(np.exp(log_t)), truth).item()

    while high - low > 1e-3:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
