# SPDX-License-Identifier: Apache-2.0
"""How a network with EfficientNet-Lite is trained, whatever the loss."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lseg_lab.training.class_keeper import ClassKeeper
from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.precision import computes_in_bfloat16, mixed_precision
from lseg_lab.training.recipe import Recipe
from lseg_lab.training.regularisation import LevelDropout, StyleRandomisation
from lseg_ros.model import LSeg
from lseg_ros.model.decoder import PyramidDecoder


class SmallNetworkRecipe(Recipe[TrainingConfig]):
    """AdamW on a cosine schedule, averaged weights, and randomised feature maps.

    The decoder is trained; the encoder's stages 3 and later may be tuned.
    """

    max_gradient_norm = 2.0

    def __init__(self, model: LSeg, config: TrainingConfig, *, bfloat16: bool | None = None) -> None:
        """Make the decoder and, depending on `config`, part of the encoder trainable.

        `bfloat16` says whether both compute in it; by default, if the model's device can.
        """
        super().__init__(model, config, average_decay=config.average_decay)
        self._tuned = config.encoder_learning_rate > 0
        _unfreeze(model, self._tuned)
        self._encoder = model.image_encoder
        self._bfloat16 = computes_in_bfloat16(model.device) if bfloat16 is None else bfloat16
        self._keeper: ClassKeeper | None = None
        if self._tuned and config.keep_classes:
            self._keeper = ClassKeeper(model, torch.bfloat16 if self._bfloat16 else torch.float32)
        self._forgotten = torch.zeros((), device=model.device)

    def start(self) -> None:
        """Use the weights that the run starts or resumes from."""
        # A bfloat16 copy of a frozen encoder is three times as fast as autocast.
        if self._bfloat16 and not self._tuned:
            self._encoder = copy.deepcopy(self.model.image_encoder).to(torch.bfloat16).eval()

    def optimizer(self) -> torch.optim.Optimizer:
        """Return AdamW with separate learning rates for decoder and encoder."""
        return torch.optim.AdamW(_groups(self.model, self.config))

    def rate_factor(self, step: int) -> float:
        """Return a linear warm-up followed by half a cosine down to a fiftieth."""
        done = step / self.config.steps
        factor = min(1.0, (step + 1) / self.config.warm_up)
        return factor * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * done)))

    def loss(self, batch: Any) -> Tensor:
        """Return the embedding loss, plus what the encoder forgot of its ImageNet classes."""
        self._forgotten = torch.zeros((), device=self.model.device)
        loss = self.embedding_loss(batch)
        return loss + self.config.keep_classes * self._forgotten

    @abstractmethod
    def embedding_loss(self, batch: Any) -> Tensor:
        """Return the loss of what `embed` makes of a batch's images: a scalar with its graph."""

    def embed(self, images: Tensor, choose: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return embeddings [B, D, h, w], before normalisation, of images uint8 [B, H, W, 3].

        Of the decoder's features [B, width, H / 4, W / 4], `choose` returns those to embed: all by
        default. Their gradients should be contiguous in channels-last layout, as the features are;
        in another, the whole step takes twice as long on a CPU.
        """
        decoder = self.model.decoder
        decoder.train()
        self.model.image_encoder.eval()
        pixels = self.model.normalise(images)
        precision = mixed_precision(decoder, pixels.device.type) if self._bfloat16 else nullcontext()
        with self._regularised(), precision:
            with torch.set_grad_enabled(self._tuned):
                maps = self._encoder(pixels.to(next(self._encoder.parameters()).dtype))
            if self._keeper:
                self._forgotten = self._forgotten + self._keeper.loss(pixels, maps[-1])
            if choose is None:
                return decoder(maps)
            assert isinstance(decoder, PyramidDecoder)
            return decoder.projection(choose(decoder.features(maps)))

    @contextmanager
    def _regularised(self) -> Iterator[None]:
        """Randomise feature maps within the block; never evaluate inside it."""
        config, encoder, decoder = self.config, self._encoder, self.model.decoder
        stages = [encoder.get_submodule(f'net.blocks.{i}') for i in range(3)]
        finest = [decoder.get_submodule(f'laterals.{i}') for i in range(2)]
        hooks = (
            StyleRandomisation(stages, config.style_probability, config.style_strength),
            LevelDropout(finest, config.level_dropout),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _unfreeze(model: LSeg, tune: bool) -> None:
    """Make the decoder trainable and, if `tune`, the encoder's convolutions from stage 3 on.

    A class prior keeps its ImageNet classifier.
    """
    model.image_encoder.requires_grad_(False)
    model.decoder.requires_grad_(True)
    if isinstance(model.decoder, PyramidDecoder) and model.decoder.class_prior is not None:
        model.decoder.class_prior.classifier.requires_grad_(False)
    for name, module in model.image_encoder.named_modules():
        late = name.startswith(('net.blocks.3', 'net.blocks.4', 'net.blocks.5', 'net.blocks.6'))
        if tune and isinstance(module, nn.Conv2d) and (late or name == 'net.conv_head'):
            module.requires_grad_(True)


def _groups(model: LSeg, config: TrainingConfig) -> list[dict[str, Any]]:
    parts = ((model.decoder, config.learning_rate), (model.image_encoder, config.encoder_learning_rate))
    groups = []
    for part, rate in parts:
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            decay = config.weight_decay
            groups.append({'params': trained, 'lr': rate, 'full_lr': rate, 'weight_decay': decay})
    return groups
