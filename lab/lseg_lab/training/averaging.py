# SPDX-License-Identifier: Apache-2.0
"""Averages of weights: over the steps of a run, and of several runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of all floating-point tensors of a module's state over the training steps."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start from the module's present weights; `decay` is that of one step, below 1."""
        self._module, self._decay = module, decay
        self.state = {name: tensor.clone() for name, tensor in self._floats().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number `step`; early steps are forgotten faster."""
        decay = min(self._decay, (1.0 + step) / (10.0 + step))
        current = self._floats()
        torch._foreach_lerp_(
            list(self.state.values()), [current[name] for name in self.state], 1.0 - decay
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module has the averaged weights."""
        kept = {name: tensor.clone() for name, tensor in self._floats().items()}
        self._module.load_state_dict(self.state, strict=False)
        try:
            yield
        finally:
            self._module.load_state_dict(kept, strict=False)

    def _floats(self) -> dict[str, Tensor]:
        state = self._module.state_dict()
        return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}


class LatestWeights:
    """In place of an average: the weights as they are."""

    def __init__(self) -> None:
        """Keep nothing."""
        self.state: dict[str, Tensor] = {}

    def update(self, _step: int) -> None:
        """Do nothing."""

    def applied(self) -> AbstractContextManager:
        """Within the block the module has its weights as ever."""
        return nullcontext()


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor over networks that share their beginning.

    "Model soups" (Wortsman et al., ICML 2022). Integer tensors are the first network's.
    """
    first = states[0]
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
