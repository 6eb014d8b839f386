# SPDX-License-Identifier: Apache-2.0
"""Settings of a training run, apart from its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a run of the recipe `lite`.

    Attributes:
        steps: total optimiser steps; the learning rate follows a cosine over them.
        batch: images per step.
        learning_rate: for the decoder.
        encoder_learning_rate: for the later stages of the image encoder; 0 freezes all of it.
        keep_classes: weight of the loss that keeps a tuned encoder's ImageNet classes.
        weight_decay: of AdamW.
        warm_up: steps until the full learning rate is reached.
        average_decay: of the moving average of the weights, which is evaluated and saved.
        style_probability: that an image's feature statistics are randomised at a stage.
        style_strength: of the random gain and shift.
        level_dropout: probability that an image loses one of the two finest feature levels.
        workers: processes that load and augment images.
        seed: of all random numbers.
    """

    accumulate: ClassVar[int] = 1
    steps_per_epoch: ClassVar[int] = 1

    steps: int = 4000
    batch: int = 8
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 0.0
    keep_classes: float = 1.0
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
    """Settings of a run of the recipe `paper`; the defaults are the authors' values.

    Attributes:
        steps: total optimiser steps; the learning rate falls to 0 over them.
        steps_per_epoch: the learning rate is lowered once per epoch.
        batch: images, or zero-shot episodes, that a process handles at once.
        accumulate: batches whose gradients are summed in one step.
        processes: number of processes that share the samples of a step.
        learning_rate: for the image encoder and a batch of 16; it scales with the batch.
        decoder_factor: ratio of the decoder's learning rate to the encoder's.
        momentum: of stochastic gradient descent.
        weight_decay: of all trained parameters.
        power: of the polynomial that the learning rate follows.
        bfloat16: whether encoder and decoder compute in bfloat16.
        workers: loading processes for each training process.
        seed: of all random numbers.
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
