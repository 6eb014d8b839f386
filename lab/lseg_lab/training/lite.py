# SPDX-License-Identifier: Apache-2.0
"""The recipe `lite`: train a decoder on a frozen or partly tuned encoder.

Each image is asked its own label set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.dataset import Sample
from lseg_lab.training.objective import label_set_loss
from lseg_lab.training.questions import Question
from lseg_lab.training.small_network import SmallNetworkRecipe
from lseg_ros.model import LSeg


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, H, W, 3], masks uint8 [B, H, W] and a question for each."""

    images: Tensor
    masks: Tensor
    questions: tuple[Question, ...]


def stack(samples: Sequence[Sample]) -> Batch:
    """Stack samples into a batch."""
    return Batch(
        torch.from_numpy(np.stack([sample.image for sample in samples])),
        torch.from_numpy(np.stack([sample.mask for sample in samples])),
        tuple(sample.question for sample in samples),
    )


class LabelObjective:
    """The label-set loss of a network's embeddings."""

    def __init__(self, model: LSeg, texts: Sequence[str], class_weights: Tensor) -> None:
        """Encode `texts`, which the samples' questions refer to; `class_weights` is float32 [C]."""
        self._weights = class_weights.to(model.device)
        self._texts = model.encode_text(texts).float()
        self._temperature = model.config.temperature

    def __call__(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the loss of embeddings [B, D, h, w], before normalisation, at their resolution."""
        masks = _nearest(batch.masks.to(raw.device), raw.shape[-2:])
        # Neighbouring pixels are redundant: every second one in each direction is enough.
        row, column = torch.randint(2, (2,)).tolist()
        return label_set_loss(
            nn.functional.normalize(raw[:, :, row::2, column::2].float(), dim=1),
            masks[:, row::2, column::2],
            batch.questions,
            self._texts,
            self._temperature,
            self._weights,
        )


class LiteRecipe(SmallNetworkRecipe):
    """The label-set loss, with a label set for each image."""

    def __init__(
        self,
        model: LSeg,
        texts: Sequence[str],
        class_weights: Tensor,
        config: TrainingConfig,
        *,
        bfloat16: bool | None = None,
    ) -> None:
        """Make the decoder and, depending on `config`, part of the encoder trainable.

        Args:
            model: its image side is trained.
            texts: the texts that the samples' questions refer to.
            class_weights: float32 [C], one for each class of the masks.
            config: settings of the run.
            bfloat16: whether the network computes in it; by default, if its device can.
        """
        super().__init__(model, config, bfloat16=bfloat16)
        self._objective = LabelObjective(model, texts, class_weights)

    @staticmethod
    def collate(samples: Sequence[Sample]) -> Batch:
        """Stack samples into a batch."""
        return stack(samples)

    def embedding_loss(self, batch: Batch) -> Tensor:
        """Return the label-set loss at the decoder's resolution."""
        return self._objective(self.embed(batch.images), batch)


def _nearest(masks: Tensor, grid: torch.Size) -> Tensor:
    """Resample masks [B, H, W] to the decoder's resolution by nearest neighbour."""
    small = nn.functional.interpolate(masks[:, None].float(), size=grid, mode='nearest-exact')
    return small[:, 0].to(torch.uint8)
