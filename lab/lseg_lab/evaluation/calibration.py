# SPDX-License-Identifier: Apache-2.0
"""Fit the temperature that calibrates a model's confidence (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.evaluation.folder import Example
from lseg_ros.labels.syntax import parse_label
from lseg_ros.model import LSeg


def fit_calibration(
    model: LSeg, labels: Sequence[str], examples: Iterable[Example], pixels: int = 500, seed: int = 0
) -> float:
    """Return the T that minimises the negative log-likelihood of softmax(logits / T).

    At most `pixels` random pixels of each example are used. Labels are used as their own prompts:
    `name=prompt|prompt` is not supported. Raise ValueError if no pixel is labelled.
    """
    names = [parse_label(label)[0] for label in labels]
    text, rng = model.encode_text(names), np.random.default_rng(seed)
    drawn = [_draw(model, text, example, pixels, rng) for example in examples]
    logits, truth = (torch.cat(parts) for parts in zip(*drawn))
    if not len(truth):
        raise ValueError('cannot calibrate: none of the images has a labelled pixel')
    return _minimise(logits, truth)


def _draw(model: LSeg, text: Tensor, example: Example, pixels: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return logits [N, K] and labels [N] of random labelled pixels."""
    stride = model.stride
    height, width = (side // stride * stride for side in example.mask.shape)
    image = torch.from_numpy(example.image[:height, :width].copy())
    mask = example.mask[:height, :width].ravel()
    labelled = np.flatnonzero(mask < len(text))
    chosen = torch.from_numpy(rng.permutation(labelled)[:pixels])
    with torch.inference_mode():
        logits = model(model.normalise(image[None]).to(model.dtype), text)[0].flatten(1).T
    return logits[chosen].float().clone(), torch.from_numpy(mask)[chosen].long()


def _minimise(logits: Tensor, truth: Tensor) -> float:
    """Search log T between 1/8 and 8 by golden section; the likelihood has one maximum."""
    ratio = (5**0.5 - 1) / 2
    low, high = -np.log(8.0), np.log(8.0)

    def loss(log_t: float) -> float:
        return F.cross_entropy(logits / float(np.exp(log_t)), truth).item()

    while high - low > 1e-3:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
