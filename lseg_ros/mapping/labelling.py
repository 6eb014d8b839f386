# SPDX-License-Identifier: Apache-2.0
"""Compares the vectors of a map with texts: labels of voxels, and relevance of prompts to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_ros.labels import LabelSet

_BLOCK = 1024  # vectors that are compared at once: as float32, they stay in the cache of a core
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
    of the labels chosen, and `total`, [N], the logarithm of the sum of exp(logit) over all labels.
    """

    encoded: EncodedLabels
    ids: np.ndarray
    confidence: np.ndarray
    scale: Tensor
    best: Tensor
    total: Tensor


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
    scale, best, sums = torch.empty(3, len(vectors))
    for part, values in _blocks(vectors):
        # A mean of unit vectors is shorter than they are, which is undone.
        factors = texts.logit_scale / torch.linalg.vector_norm(values, dim=1).clamp_min_(1e-6)
        logits = _best_of(torch.mm(texts.rows, values.T).mul_(factors), counts)
        greatest, winners[part] = logits.max(0)
        sums[part] = logits.sub_(greatest).exp_().sum(0)
        scale[part], best[part] = factors, greatest
    ids = np.array(labels.ids, np.uint8)[winners.numpy()]
    return Labelling(encoded, ids, (1 / sums).numpy(), scale, best, sums.log_().add_(best))


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
    for part, values in _blocks(vectors):
        logits = _best_of(torch.mm(rows, values.T).mul_(labelling.scale[part]), counts)
        asked, of_labels = logits[: len(prompts)], logits[len(prompts) :]
        against = labelling.total[part]
        if len(of_labels):
            best = labelling.best[part]
            against = (competes @ of_labels.sub_(best).exp_()).clamp_min_(_LEAST_SUM).log_().add_(best)
        torch.sigmoid(asked.sub_(against), out=result[:, part])
    return result.numpy()


def _blocks(vectors: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield successive vectors of [N, D] as float32, with their places; all share one buffer."""
    buffer = torch.empty(_BLOCK, vectors.shape[1])
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        yield slice(start, start + _BLOCK), buffer[: len(block)].copy_(block)


def _best_of(logits: Tensor, counts: list[int]) -> Tensor:
    """Return the greatest of as many successive logits [K, n] as each of `counts` says."""
    if len(counts) == len(logits):
        return logits
    return torch.stack([part.amax(0) for part in logits.split(counts)])
