# SPDX-License-Identifier: Apache-2.0
"""Compares the vectors of a map with texts: labels of voxels, and relevance of prompts to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_ros.labels import LabelSet

_BLOCK = 8192  # vectors whose products with texts are used at once
_CHUNK = 1024  # of these, as many as fit, as float32, into the cache of a core
_LEAST_SUM = torch.finfo(torch.float32).tiny  # whose logarithm is finite


@dataclass(frozen=True)
class EncodedTexts:
    """Rows of text, float32 [K, D], and the factor from their cosines to logits.

    `model` is the id of the vectors that they may be compared with.
    """

    rows: Tensor
    logit_scale: float
    model: str


@dataclass(frozen=True)
class EncodedLabels:
    """The prompts of a LabelSet, encoded: one row for each, in their order."""

    labels: LabelSet
    texts: EncodedTexts


@dataclass(frozen=True)
class Labelling:
    """N vectors compared with labels: the id of the label of each, uint8 [N], and its confidence.

    The confidence, float32 [N], is the softmax over the labels; of several prompts of a label the
    best counts. `scale`, [N], leads from products with texts to logits, `best`, [N], has the logits
    of the labels chosen, and `rest`, [N], the sum of exp(logit - best) over all others.
    """

    encoded: EncodedLabels
    ids: np.ndarray
    confidence: np.ndarray
    scale: Tensor
    best: Tensor
    rest: Tensor


def label_voxels(vectors: Tensor, encoded: EncodedLabels) -> Labelling:
    """Return the labels of vectors [N, D]; raise ValueError if texts have other dimensions."""
    labels, texts = encoded.labels, encoded.texts
    if texts.rows.shape[1] != vectors.shape[1]:
        raise ValueError(
            f'vectors of {vectors.shape[1]} dimensions in the map, but {texts.rows.shape[1]} in texts of '
            f'{texts.model}: they cannot be compared'
        )
    counts = [len(label.prompts) for label in labels.classes]
    winners = torch.empty(len(vectors), dtype=torch.int64)
    scale, best, rest = torch.empty(3, len(vectors))
    for part in _blocks(len(vectors)):
        products = _products(vectors[part], texts.rows, lengths=scale[part])
        # A mean of unit vectors is shorter than they are, which is undone.
        scale[part] = texts.logit_scale / scale[part].clamp_min(1e-6)
        logits = _best_of(products.mul_(scale[part]), counts)
        best[part], winners[part] = logits.max(0)
        rest[part] = logits.sub_(best[part]).exp_().scatter_(0, winners[None, part], 0.0).sum(0)
    ids = np.array(labels.ids, np.uint8)[winners.numpy()]
    return Labelling(encoded, ids, (1 / (1 + rest)).numpy(), scale, best, rest)


def relevance(vectors: Tensor, prompts: Sequence[str], texts: EncodedTexts, labelling: Labelling) -> np.ndarray:
    """Return how relevant each vector [N, D] is to each of P `prompts`, float32 [P, N], 0 to 1.

    `texts` has a row for each prompt, and `labelling` is that of the vectors. The relevance is the
    softmax of the prompt's logit against those of the labels, except labels with the same prompt,
    as in `~/query`.
    """
    labels = labelling.encoded.labels.classes
    competes = torch.tensor([[float(prompt not in label.prompts) for label in labels] for prompt in prompts])
    rows, counts = texts.rows, [1] * len(prompts)
    if not competes.all():  # otherwise the sums over the labels are known
        rows = torch.cat([rows, labelling.encoded.texts.rows])
        counts += [len(label.prompts) for label in labels]
    result = torch.empty(len(prompts), len(vectors))
    for part in _blocks(len(vectors)):
        logits = _best_of(_products(vectors[part], rows).mul_(labelling.scale[part]), counts)
        logits.sub_(labelling.best[part])
        asked, of_labels = logits[: len(prompts)], logits[len(prompts) :]
        rivals = competes @ of_labels.exp_() if len(of_labels) else 1 + labelling.rest[part]
        torch.sigmoid(asked.sub_(rivals.clamp_min_(_LEAST_SUM).log_()), out=result[:, part])
    return result.numpy()


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]


def _products(vectors: Tensor, rows: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return the products of each row [K, D] with each vector [n, D], [K, n].

    Put the lengths of the vectors into `lengths`.
    """
    result = torch.empty(len(rows), len(vectors))
    for start in range(0, len(vectors), _CHUNK):
        part = slice(start, start + _CHUNK)
        values = vectors[part].float()
        torch.mm(rows, values.T, out=result[:, part])
        if lengths is not None:
            torch.linalg.vector_norm(values, dim=1, out=lengths[part])
    return result


def _best_of(logits: Tensor, counts: list[int]) -> Tensor:
    """Return the greatest of as many successive logits [K, n] as each of `counts` says."""
    if len(counts) == len(logits):
        return logits
    return torch.stack([part.amax(0) for part in logits.split(counts)])
