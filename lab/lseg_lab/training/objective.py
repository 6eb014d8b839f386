# SPDX-License-Identifier: Apache-2.0
"""LSeg's objective with a label set for each image and several right answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lseg_lab.training.questions import Question
from lseg_ros.labels.ids import UNLABELLED


def label_set_loss(
    embeddings: Tensor,
    masks: Tensor,
    questions: Sequence[Question],
    texts: Tensor,
    temperature: float,
    class_weights: Tensor,
) -> Tensor:
    """Return the mean over answerable pixels of -log P(a right label), weighted by class.

    The probabilities of several right labels add up (partial-label learning, Jin and Ghahramani,
    2002); with a single right label this is LSeg's cross-entropy of cosine / temperature.

    Args:
        embeddings: float32 [B, D, h, w], unit length along D.
        masks: uint8 [B, h, w], class indices below C, or 255.
        questions: one for each image.
        texts: float32 [T, D], unit rows: the vectors of the sampler's texts.
        temperature: LSeg uses 0.07.
        class_weights: float32 [C].
    """
    total = embeddings.new_zeros(())
    weight = embeddings.new_full((), 1e-6)
    for embedding, mask, question in zip(embeddings, masks, questions):
        accepted = torch.from_numpy(question.accepted).to(mask.device)
        answerable = _answerable(mask, accepted)
        classes = mask[answerable].long()
        rows = texts[torch.from_numpy(question.texts).to(texts.device)]
        logits = embedding.permute(1, 2, 0)[answerable] @ rows.T / temperature
        right = logits.masked_fill(~accepted[classes], -torch.inf)
        loss = logits.logsumexp(1) - right.logsumexp(1)
        total = total + (loss * class_weights[classes]).sum()
        weight = weight + class_weights[classes].sum()
    return total / weight


def _answerable(mask: Tensor, accepted: Tensor) -> Tensor:
    """Return bool like `mask`: pixels whose class has a right label."""
    table = torch.zeros(256, dtype=torch.bool, device=mask.device)
    table[: len(accepted)] = accepted.any(1)
    table[UNLABELLED] = False
    return table[mask.long()]


def class_weights(share: np.ndarray, power: float, limits: tuple[float, float]) -> Tensor:
    """Return weights float32 [C] from each class's share of the pixels, [C]; rare ones weigh more.

    A weight is (mean share of all classes / share of the class) ** power, clipped to `limits`.
    """
    present = share[share > 0].mean() if (share > 0).any() else 1.0
    weights = (present / np.maximum(share, 1e-9)) ** power
    return torch.from_numpy(np.clip(weights, *limits).astype(np.float32))
