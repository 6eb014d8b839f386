# SPDX-License-Identifier: Apache-2.0
"""The recipe `paper`: train the whole image side by SGD, as LSeg's authors do.

Source: Li et al., Language-driven Semantic Segmentation (2022), arXiv 2201.03546, and the
authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from lseg_lab.training.config import PaperConfig
from lseg_lab.training.crops import LabelledImage
from lseg_lab.training.recipe import Recipe
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.model import LSeg
from lseg_ros.sharing.workers import Workers


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, H, W, 3], masks uint8 [B, H, W], and B x K labels, those of each image.

    Mask values index the labels of their image; 255 means not labelled.
    """

    images: Tensor
    masks: Tensor
    labels: tuple[tuple[str, ...], ...]


class PaperRecipe(Recipe[PaperConfig]):
    """Cross-entropy at image size; the decoder learns ten times as fast as the encoder.

    The text encoder is frozen and the temperature is constant. With several processes each has
    its own samples, and on GPUs batch normalisation covers the samples of all of them.
    """

    def __init__(self, model: LSeg, config: PaperConfig, workers: Workers | None = None) -> None:
        """Make the image side trainable in float32; `workers` share each step."""
        super().__init__(model, config)
        self._workers = workers or Workers(model.device)
        if self._workers.count > 1 and model.device.type == 'cuda':
            convert_sync_batchnorm(model)
        self.image_side().requires_grad_(True)
        self._logits: _Logits | DistributedDataParallel = _Logits(model, config.bfloat16)

    def start(self) -> None:
        """Give all processes the weights of the first one."""
        if self._workers.count > 1:
            self._logits = DistributedDataParallel(self._logits)

    def synchronised(self, last: bool) -> AbstractContextManager[None]:
        """Share gradients among the processes once per step, not once per batch."""
        if not last and isinstance(self._logits, DistributedDataParallel):
            return self._logits.no_sync()
        return nullcontext()

    def optimizer(self) -> torch.optim.Optimizer:
        """Return SGD; the layers that reassemble tokens count as encoder."""
        config, encoder = self.config, self.model.image_encoder
        rate = config.learning_rate / 16.0 * config.batch
        slow = list(encoder.parameters())
        known = {id(p) for p in slow}
        fast = [p for p in self.image_side().parameters() if id(p) not in known]
        rates = ((slow, rate), (fast, config.decoder_factor * rate))
        return torch.optim.SGD(
            [{'params': params, 'lr': rate, 'full_lr': rate} for params, rate in rates],
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )

    def rate_factor(self, step: int) -> float:
        """Return a polynomial in the epoch that reaches 0 after the last one."""
        epochs = -(-self.config.steps // self.config.steps_per_epoch)
        return (1.0 - step // self.config.steps_per_epoch / epochs) ** self.config.power

    @staticmethod
    def collate(samples: Sequence[Sequence[LabelledImage]]) -> Batch:
        """Stack the images of all samples into a batch."""
        pictures = [picture for sample in samples for picture in sample]
        return Batch(
            torch.from_numpy(np.stack([picture.image for picture in pictures])),
            torch.from_numpy(np.stack([picture.mask for picture in pictures])),
            tuple(picture.labels for picture in pictures),
        )

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy over labelled pixels; 0 if there are none."""
        self.image_side().train()
        texts = [self.model.encode_text(labels) for labels in batch.labels]
        pixels = self.model.normalise(batch.images)
        masks = batch.masks.to(pixels.device).long()
        logits = self._logits(pixels, texts).float()
        total = F.cross_entropy(logits, masks, ignore_index=UNLABELLED, reduction='sum')
        return total / (masks != UNLABELLED).sum().clamp(min=1)


class _Logits(nn.Module):
    """Compute logits [B, K, H, W] from pixels [B, 3, H, W] and B texts [K, D].

    This module holds everything that is trained, because DistributedDataParallel wraps one module.
    """

    def __init__(self, model: LSeg, bfloat16: bool) -> None:
        super().__init__()
        self.model, self.autocast = model, bfloat16

    def forward(self, pixels: Tensor, texts: Sequence[Tensor]) -> Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.autocast):
            embeddings = self.model.encode_image(pixels)
        logits = torch.cat([self.model.correlate(embedding[None], text) for embedding, text in zip(embeddings, texts)])
        return F.interpolate(
            logits, size=pixels.shape[-2:], mode='bilinear', align_corners=self.model.config.align_corners
        )
