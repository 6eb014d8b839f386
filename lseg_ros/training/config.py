# SPDX-License-Identifier: Apache-2.0
"""What a training run depends on besides its data."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run depends on besides its data.

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
