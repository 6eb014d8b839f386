# SPDX-License-Identifier: Apache-2.0
"""Regularise feature maps: randomise style, and drop whole levels.

Renderings differ from photographs mostly in the mean and deviation of each channel of the early
feature maps. Mixing these between images (MixStyle, Zhou et al., ICLR 2021) and adding noise to
them makes later layers depend on them less. The finest levels hold texture, where renderings are
least realistic; dropping a level from some images reduces the dependence on it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StyleRandomisation:
    """Forward hooks that randomise the channel statistics of modules' outputs."""

    def __init__(self, modules: list[nn.Module], probability: float, strength: float) -> None:
        """Install the hooks.

        Args:
            modules: their outputs [B, C, H, W] are changed.
            probability: that a module's output is changed for an image.
            strength: standard deviation of the random gain and shift of a channel, in units of
                the channel's deviation.
        """
        self._probability, self._strength = probability, strength
        self._hooks = [module.register_forward_hook(self._hook) for module in modules]

    def remove(self) -> None:
        """Remove the hooks."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, _module: nn.Module, _inputs: tuple[Tensor, ...], features: Tensor) -> Tensor:
        return randomise_style(features, self._probability, self._strength)


class LevelDropout:
    """Forward hooks that zero the outputs of modules for some of the images."""

    def __init__(self, modules: list[nn.Module], probability: float) -> None:
        """Install the hooks; an image loses one output [B, C, H, W] with `probability`."""
        self._probability = probability
        self._hooks = [module.register_forward_hook(self._hook) for module in modules]

    def remove(self) -> None:
        """Remove the hooks."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, _module: nn.Module, _inputs: tuple[Tensor, ...], features: Tensor) -> Tensor:
        keep = torch.rand(len(features), 1, 1, 1, device=features.device) >= self._probability
        return features * keep.to(features.dtype) / (1.0 - self._probability)


def randomise_style(features: Tensor, probability: float, strength: float) -> Tensor:
    """Mix the channel statistics of [B, C, H, W] between images and add noise to them."""
    images, channels = features.shape[:2]
    deviation, mean = torch.std_mean(features.float(), dim=(2, 3), keepdim=True)
    share = torch.distributions.Beta(0.3, 0.3).sample((images, 1, 1, 1)).to(features.device)
    partner = torch.randperm(images, device=features.device)
    gain = torch.exp(strength * torch.randn(images, channels, 1, 1, device=features.device))
    shift = strength * torch.randn(images, channels, 1, 1, device=features.device)
    new_mean = torch.lerp(mean[partner], mean, share) + shift * deviation
    new_deviation = torch.lerp(deviation[partner], deviation, share) * gain
    scale = new_deviation / (deviation + 1e-5)
    offset = new_mean - mean * scale
    keep = torch.rand(images, 1, 1, 1, device=features.device) >= probability
    scale, offset = scale.masked_fill(keep, 1.0), offset.masked_fill(keep, 0.0)
    return features * scale.to(features.dtype) + offset.to(features.dtype)
