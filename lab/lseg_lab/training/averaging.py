# SPDX-License-Identifier: Apache-2.0
"""Average weights over the steps of a run, or over several runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn


class WeightAverage:
    """Moving average of all floating-point tensors of a module over the training steps."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start from the module's current weights; `decay` per step is below 1."""
        self._module, self._decay = module, decay
        self.state = {name: tensor.clone() for name, tensor in self._floats().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Include the weights after step `step`; early steps are forgotten faster."""
        decay = min(self._decay, (1.0 + step) / (10.0 + step))
        current = self._floats()
        torch._foreach_lerp_(list(self.state.values()), [current[name] for name in self.state], 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the module the averaged weights within the block."""
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
    """Stand-in for WeightAverage that keeps the weights as they are."""

    def __init__(self) -> None:
        """Store nothing."""
        self.state: dict[str, Tensor] = {}

    def update(self, _step: int) -> None:
        """Do nothing."""

    def applied(self) -> AbstractContextManager[None]:
        """Leave the module's weights unchanged within the block."""
        return nullcontext()


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor over networks that were trained from the same start.

    Source: "Model soups", Wortsman et al., ICML 2022. Integer tensors are the first network's.
    """
    first = states[0]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }
