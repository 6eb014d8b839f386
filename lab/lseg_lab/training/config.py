# SPDX-License-Identifier: Apache-2.0
"""What a training run depends on besides its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class TrainingConfig:
    """What a run of the recipe `lite` depends on besides its data.

    Attributes:
        steps: of the optimiser, in all; the learning rate falls along a cosine over them.
        batch: images in a step.
        learning_rate: of the decoder.
        encoder_learning_rate: of the image encoder's later stages; 0 keeps all of it frozen.
        weight_decay: AdamW's.
        warm_up: steps until the full learning rate.
        average_decay: of the weights' moving average, which is what is evaluated and kept.
        style_probability: that an image's feature statistics are randomised at a stage.
        style_strength: of the random gain and shift.
        level_dropout: probability that an image loses one of the two finest feature levels.
        workers: processes that load and augment.
        seed: of everything random.

    """

    accumulate: ClassVar[int] = 1

    steps: int = 4000
    batch: int = 8
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 0.0
    weight_decay: float = 0.01
    warm_up: int = 100
    average_decay: float = 0.998
    style_probability: float = 0.25
    style_strength: float = 0.2
    level_dropout: float = 0.0
    workers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class PaperConfig:
    """What a run of the recipe `paper` depends on besides its data: the authors' values.

    Attributes:
        steps: of the optimiser, in all; the learning rate falls to 0 over them.
        steps_per_epoch: the learning rate falls once an epoch.
        batch: images, or zero-shot episodes, that a process takes at once.
        accumulate: batches whose gradients make one step.
        processes: that share the samples of a step.
        learning_rate: of the image encoder, for a batch of 16; the batch scales it.
        decoder_factor: how much higher the decoder's is.
        momentum: of stochastic gradient descent.
        weight_decay: of all that is trained.
        power: of the polynomial that the learning rate falls along.
        bfloat16: whether encoder and decoder compute in bfloat16.
        workers: processes that load and augment, for each process.
        seed: of everything random.

    """

    steps: int
    steps_per_epoch: int = 1
    batch: int = 4
    accumulate: int = 1
    processes: int = 1
    learning_rate: float = 0.004
    decoder_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    power: float = 0.9
    bfloat16: bool = False
    workers: int = 2
    seed: int = 0
