# SPDX-License-Identifier: Apache-2.0
"""Regularisation of feature maps: style randomisation, and dropout of whole levels.

What tells a rendering from a photograph sits largely in the mean and deviation of each channel of
the early feature maps. Mixing these between images (MixStyle, Zhou et al., ICLR 2021) and
shaking them at random makes what follows less dependent on them. The finest levels hold texture,
where renderings are least like photographs: now and then an image must do without them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StyleRandomisation:
    """Forward hooks that randomise the channel statistics of the given modules' outputs."""

    def __init__(self, modules: list[nn.Module], probability: float, strength: float) -> None:
        """Install the hooks.

        Args:
            modules: whose outputs [B, C, H, W] are changed.
            probability: that an image is changed, in each module.
            strength: standard deviation of the random gain and shift of a channel, in units of
                its own deviation.

        """
        self._probability, self._strength = probability, strength
        self._hooks = [module.register_forward_hook(self._hook) for module in modules]

    def remove(self) -> None:
        """Take the hooks out."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, _module: nn.Module, _inputs: tuple[Tensor, ...], features: Tensor) -> Tensor:
        return randomise_style(features, self._probability, self._strength)


class LevelDropout:
    """Forward hooks that take the outputs of modules away from some of the images."""

    def __init__(self, modules: list[nn.Module], probability: float) -> None:
        """Install the hooks; `probability` that an image loses one module's [B, C, H, W]."""
        self._probability = probability
        self._hooks = [module.register_forward_hook(self._hook) for module in modules]

    def remove(self) -> None:
        """Take the hooks out."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, _module: nn.Module, _inputs: tuple[Tensor, ...], features: Tensor) -> Tensor:
        keep = torch.rand(len(features), 1, 1, 1, device=features.device) >= self._probability
        return features * keep.to(features.dtype) / (1.0 - self._probability)


def randomise_style(features: Tensor, probability: float, strength: float) -> Tensor:
    """Mix the statistics of [B, C, H, W] between images and add noise to them."""
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
