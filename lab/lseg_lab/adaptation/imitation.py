# SPDX-License-Identifier: Apache-2.0
"""The recipe by which a small network learns to reproduce a teacher's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.adaptation.teacher_pass import STEP
from lseg_lab.adaptation.view_stream import ViewSample
from lseg_lab.training import lite
from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.dataset import Sample
from lseg_lab.training.small_network import SmallNetworkRecipe
from lseg_ros.model import LSeg


@dataclass(frozen=True)
class MixedBatch:
    """Views, their targets, and labelled samples; there may be none of either.

    Attributes:
        images: uint8 [B, H, W, 3].
        targets: float16 [B, h, w, D].
        firsts: the first cell with a target of each view, see ViewSample.
        labelled: the labelled samples.
    """

    images: Tensor
    targets: Tensor
    firsts: tuple[tuple[int, int], ...]
    labelled: lite.Batch | None


class ImitationRecipe(SmallNetworkRecipe):
    """How far a student's embeddings and answers are from its teacher's, averaged over cells.

    The first part is one minus the cosine. Most of an embedding's length tells no word from
    another, so a high cosine alone leaves many answers wrong: the second part is the divergence
    of the student's probabilities over some words from the teacher's (Hinton et al., "Distilling
    the Knowledge in a Neural Network", 2015). Labelled samples add the label-set loss of the
    recipe lite.
    """

    def __init__(
        self, model: LSeg, config: TrainingConfig, words: Sequence[str], labels: lite.LabelObjective | None = None
    ) -> None:
        """Make the decoder and, depending on `config`, part of the encoder trainable.

        Args:
            model: the student, with its teacher's text encoder.
            config: settings of the run.
            words: those to compare the answers by, at least two.
            labels: the loss of labelled samples, if the stream has any.
        """
        super().__init__(model, config)
        self._text = model.encode_text(words).float() / model.config.temperature
        self._labels = labels

    @staticmethod
    def collate(samples: Sequence[ViewSample | Sample]) -> MixedBatch:
        """Stack views and labelled samples into a batch."""
        views = [sample for sample in samples if isinstance(sample, ViewSample)]
        labelled = [sample for sample in samples if isinstance(sample, Sample)]
        return MixedBatch(
            torch.from_numpy(np.stack([view.image for view in views])) if views else torch.empty(0),
            torch.from_numpy(np.stack([view.targets for view in views])) if views else torch.empty(0),
            tuple(view.first for view in views),
            lite.stack(labelled) if labelled else None,
        )

    def embedding_loss(self, batch: MixedBatch) -> Tensor:
        """Return the sum of both losses, each weighted by its share of the samples."""
        views = len(batch.images)
        labelled = len(batch.labelled.images) if batch.labelled else 0
        total = torch.zeros((), device=self.model.device)
        if views:
            total = total + views / (views + labelled) * self._distance(batch)
        if batch.labelled and self._labels:
            loss = self._labels(self.embed(batch.labelled.images), batch.labelled)
            total = total + labelled / (views + labelled) * loss
        return total

    def _distance(self, batch: MixedBatch) -> Tensor:
        def with_targets(features: Tensor) -> Tensor:
            cells = zip(features.permute(0, 2, 3, 1), batch.firsts)
            return torch.stack([each[row::STEP, column::STEP] for each, (row, column) in cells]).permute(0, 3, 1, 2)

        ours = self.embed(batch.images, with_targets).permute(0, 2, 3, 1).flatten(0, 2)
        theirs = batch.targets.to(ours.device).flatten(0, 2)
        student, teacher = (F.normalize(vectors.float(), dim=1) for vectors in (ours, theirs))
        return 1 - (student * teacher).sum(1).mean() + self._divergence(student, teacher)

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean Kullback-Leibler divergence over the words, of unit vectors [N, D]."""
        ours, theirs = (F.log_softmax(vectors @ self._text.T, 1) for vectors in (student, teacher))
        return F.kl_div(ours, theirs, reduction='batchmean', log_target=True)
