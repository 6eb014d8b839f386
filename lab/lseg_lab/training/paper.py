# SPDX-License-Identifier: Apache-2.0
"""The recipe `paper`: the whole image side by stochastic gradient descent, as LSeg's authors.

Li et al., Language-driven Semantic Segmentation (2022), arXiv 2201.03546, and the authors' code.
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

from lseg_lab.distributed import Workers
from lseg_lab.training.config import PaperConfig
from lseg_lab.training.crops import LabelledImage
from lseg_lab.training.recipe import Recipe
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.model import LSeg


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, H, W, 3], masks uint8 [B, H, W], and the labels each is asked, B x K.

    A mask's value is the place of a label in its image's labels; 255 is not labelled.
    """

    images: Tensor
    masks: Tensor
    labels: tuple[tuple[str, ...], ...]


class PaperRecipe(Recipe):
    """Cross-entropy at image size over the labels asked; the decoder learns ten times as fast.

    The text encoder is frozen and the temperature a constant. Of several processes each takes
    its own samples; on GPUs batch normalisation sees those of all.
    """

    def __init__(self, model: LSeg, config: PaperConfig, workers: Workers | None = None) -> None:
        """Make the image side trainable, in float32; `workers` are those that share a step."""
        super().__init__(model, config)
        self._workers = workers or Workers(model.device)
        if self._workers.count > 1 and model.device.type == 'cuda':
            convert_sync_batchnorm(model)
        self.image_side().requires_grad_(True)
        self._logits: nn.Module = _Logits(model, config.bfloat16)

    def start(self) -> None:
        """Give all processes the first one's weights."""
        if self._workers.count > 1:
            self._logits = DistributedDataParallel(self._logits)

    def synchronised(self, last: bool) -> AbstractContextManager:
        """Share gradients among the processes once a step, not once a batch."""
        alone = last or self._workers.count == 1
        return nullcontext() if alone else self._logits.no_sync()

    def optimizer(self) -> torch.optim.Optimizer:
        """Stochastic gradient descent; what reassembles tokens belongs to the encoder."""
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
        """A polynomial in the number of epochs, which is rounded up for the end."""
        epochs = -(-self.config.steps // self.config.steps_per_epoch)
        return (1.0 - step // self.config.steps_per_epoch / epochs) ** self.config.power

    @staticmethod
    def collate(samples: Sequence[Sequence[LabelledImage]]) -> Batch:
        """Stack the images of all samples."""
        pictures = [picture for sample in samples for picture in sample]
        return Batch(
            torch.from_numpy(np.stack([picture.image for picture in pictures])),
            torch.from_numpy(np.stack([picture.mask for picture in pictures])),
            tuple(picture.labels for picture in pictures),
        )

    def loss(self, batch: Batch) -> Tensor:
        """The mean cross-entropy of the labelled pixels; 0 where there is none."""
        self.image_side().train()
        texts = [self.model.encode_text(labels) for labels in batch.labels]
        pixels = self.model.normalise(batch.images)
        masks = batch.masks.to(pixels.device).long()
        logits = self._logits(pixels, texts).float()
        total = F.cross_entropy(logits, masks, ignore_index=UNLABELLED, reduction='sum')
        return total / (masks != UNLABELLED).sum().clamp(min=1)


class _Logits(nn.Module):
    """Logits [B, K, H, W] of pixels [B, 3, H, W] and B texts [K, D], one for each image.

    All that is trained, in one module: that is what DistributedDataParallel can wrap.
    """

    def __init__(self, model: LSeg, bfloat16: bool) -> None:
        super().__init__()
        self.model, self.bfloat16 = model, bfloat16

    def forward(self, pixels: Tensor, texts: Sequence[Tensor]) -> Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.bfloat16):
            embeddings = self.model.encode_image(pixels)
        logits = torch.cat(
            [
                self.model.correlate(embedding[None], text)
                for embedding, text in zip(embeddings, texts)
            ]
        )
        return F.interpolate(
            logits,
            size=pixels.shape[-2:],
            mode='bilinear',
            align_corners=self.model.config.align_corners,
        )
