# SPDX-License-Identifier: Apache-2.0
"""The interface between the training loop and a recipe: parameters, rates, loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from lseg_lab.training.config import PaperConfig, TrainingConfig
from lseg_ros.model import LSeg

Config = TypeVar('Config', TrainingConfig, PaperConfig)


class Recipe(ABC, Generic[Config]):
    """How a model is trained; Trainer runs the loop.

    Attributes:
        max_gradient_norm: upper limit of the norm of the gradients.
        model: the network to train.
        config: its `steps`, `batch`, `accumulate`, `workers` and `seed` control the loop.
        average_decay: of the moving average of the weights to save; 0 saves the latest weights.
    """

    max_gradient_norm = math.inf

    def __init__(self, model: LSeg, config: Config, average_decay: float = 0.0) -> None:
        """Store model and config, and freeze the text encoder."""
        self.model, self.average_decay = model, average_decay
        self.config: Config = config
        model.text_encoder.requires_grad_(False)

    def image_side(self) -> nn.ModuleList:
        """Return all parts of the model except the text encoder; a run saves these."""
        parts = dict(self.model.named_children())
        return nn.ModuleList([part for name, part in parts.items() if name != 'text_encoder'])

    def start(self) -> None:
        """Use the weights that the run starts or resumes from."""

    def synchronised(self, last: bool) -> AbstractContextManager[None]:
        """Return a context for one batch of a step; gradients are shared after the `last`."""
        return nullcontext()

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser; rate_factor scales `full_lr` of each parameter group."""

    @abstractmethod
    def rate_factor(self, step: int) -> float:
        """Return the factor on the full learning rates at step `step`."""

    @staticmethod
    @abstractmethod
    def collate(samples: Sequence[Any]) -> Any:
        """Combine samples of the recipe's stream into a batch for `loss`."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Return the loss of a batch: a scalar with its graph."""
