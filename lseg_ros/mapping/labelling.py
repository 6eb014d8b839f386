# SPDX-License-Identifier: Apache-2.0
"""Compares the vectors of a map with texts: labels of voxels, and relevance of prompts to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_ros.labels import LabelSet

_CHUNK = 1024  # vectors that fit, as float32, into the cache of a core


@dataclass(frozen=True)
class EncodedTexts:
    """Rows of text, float32 [K, D], and the factor from their cosines to logits."""

    rows: Tensor
    logit_scale: float


@dataclass(frozen=True)
class EncodedLabels:
    """The prompts of a LabelSet, encoded: one row for each, in their order."""

    labels: LabelSet
    texts: EncodedTexts


def label_voxels(vectors: Tensor, encoded: EncodedLabels) -> tuple[np.ndarray, np.ndarray]:
    """Return the id of the label of each vector [N, D], uint8 [N], and its confidence, float32 [N].

    The confidence is the softmax over the labels; of several prompts of a label the best counts.
    """
    ids = torch.tensor(encoded.labels.ids, dtype=torch.uint8)
    found, confidence = torch.empty(len(vectors), dtype=torch.uint8), torch.empty(len(vectors))
    for part in _chunks(len(vectors)):
        share, winner = _of_labels(_logits(vectors[part], encoded.texts), encoded.labels).softmax(1).max(1)
        found[part], confidence[part] = ids[winner], share
    return found.numpy(), confidence.numpy()


def relevance(vectors: Tensor, prompts: Sequence[str], texts: EncodedTexts, background: EncodedLabels) -> np.ndarray:
    """Return how relevant each vector [N, D] is to each of P `prompts`, float32 [P, N], 0 to 1.

    `texts` has a row for each prompt. The relevance is the softmax of the prompt's logit against
    those of the labels of `background`, except labels with the same prompt, as in `~/query`.
    """
    rows = torch.cat([texts.rows, background.texts.rows])
    together = EncodedTexts(rows, texts.logit_scale)
    own = [[prompt in label.prompts for label in background.labels.classes] for prompt in prompts]
    result = torch.empty(len(prompts), len(vectors))
    for part in _chunks(len(vectors)):
        asked, others = _logits(vectors[part], together).split((len(prompts), len(background.texts.rows)), 1)
        scores = _of_labels(others, background.labels)
        result[:, part] = torch.sigmoid(asked - scores.logsumexp(1, keepdim=True)).T
        for number, mask in enumerate(own):
            if any(mask):
                rivals = scores[:, ~torch.tensor(mask)].logsumexp(1)
                result[number, part] = torch.sigmoid(asked[:, number] - rivals)
    return result.numpy()


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]


def _logits(vectors: Tensor, texts: EncodedTexts) -> Tensor:
    """Return logits [N, K]; a mean of unit vectors is shorter than they are, which is undone."""
    values = vectors.float()
    length = torch.linalg.vector_norm(values, dim=1, keepdim=True).clamp_min(1e-6)
    return (values @ texts.rows.T) * (texts.logit_scale / length)


def _of_labels(logits: Tensor, labels: LabelSet) -> Tensor:
    """Return logits of labels, [N, C], from those of their prompts, [N, K]."""
    counts = [len(label.prompts) for label in labels.classes]
    if len(counts) == logits.shape[1]:
        return logits
    return torch.stack([part.amax(1) for part in logits.split(counts, 1)], 1)
