# SPDX-License-Identifier: Apache-2.0
"""What the training loop asks of a recipe: parameters, rates, loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lseg_lab.training.config import PaperConfig, TrainingConfig
from lseg_ros.model import LSeg


class Recipe(ABC):
    """How a model is trained; the loop itself is the Trainer's.

    Attributes:
        max_gradient_norm: longer gradients are shortened to it.
        model: what is trained.
        config: its `steps`, `batch`, `accumulate`, `workers` and `seed` rule the loop.
        average_decay: of the moving average of the weights that is kept; 0 keeps the weights.

    """

    max_gradient_norm = math.inf

    def __init__(
        self, model: LSeg, config: TrainingConfig | PaperConfig, average_decay: float = 0.0
    ) -> None:
        """Keep the model, whose text encoder no gradient may reach, and the config."""
        self.model, self.config, self.average_decay = model, config, average_decay
        model.text_encoder.requires_grad_(False)

    def image_side(self) -> nn.ModuleList:
        """All parts of the model but the text encoder: what a run stores."""
        parts = dict(self.model.named_children())
        return nn.ModuleList([part for name, part in parts.items() if name != 'text_encoder'])

    def start(self) -> None:
        """Take up the weights that the run begins or goes on with."""

    def synchronised(self, _last: bool) -> AbstractContextManager:
        """A context for a part of a step: after the `last` the processes share gradients."""
        return nullcontext()

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser; `full_lr` of a parameter group is what rate_factor multiplies."""

    @abstractmethod
    def rate_factor(self, step: int) -> float:
        """What the full learning rates are multiplied by at step number `step`."""

    @staticmethod
    @abstractmethod
    def collate(samples: Sequence[Any]) -> Any:
        """Samples of the recipe's stream as a batch for `loss`."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """The loss of a batch, a scalar with its graph."""
