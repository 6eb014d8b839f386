# SPDX-License-Identifier: Apache-2.0
"""The DPT parts of LSeg: tokens to feature maps, and feature maps to pixel embeddings.

Ranftl et al., *Vision Transformers for Dense Prediction* (2021, arXiv 2103.13413), with the
sizes and details of the published LSeg networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lseg_ros.model.parts import Decoder


class Reassemble(nn.Module):
    """Turns the tokens of one transformer block into a feature map ('project' readout).

    A linear layer merges the class token into each patch token, a 1x1 convolution sets the
    number of channels, and `resample` sets the size to `scale` times the patch grid.
    """

    def __init__(self, dim: int, channels: int, scale: float) -> None:
        """Build for tokens of `dim` features; `scale` is a whole number or one half."""
        super().__init__()
        self.readout = nn.Linear(2 * dim, dim)
        self.project = nn.Conv2d(dim, channels, 1)
        self.resample = _resample(channels, scale)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return [B, channels, h, w] of class and patch tokens [B, 1 + prod(grid), dim]."""
        patches = tokens[:, 1:]
        readout = tokens[:, :1].expand_as(patches)
        patches = F.gelu(self.readout(torch.cat((patches, readout), dim=2)))
        maps: Tensor = self.resample(self.project(patches.transpose(1, 2).reshape(len(patches), -1, *grid)))
        return maps


def _resample(channels: int, scale: float) -> nn.Module:
    if scale == 0.5:
        return nn.Conv2d(channels, channels, 3, stride=2, padding=1)
    if scale == 1:
        return nn.Identity()
    return nn.ConvTranspose2d(channels, channels, int(scale), stride=int(scale))


class ResidualConvUnit(nn.Module):
    """Adds two 3x3 convolutions, each after a ReLU and before a batch normalisation, to x."""

    def __init__(self, width: int) -> None:
        """Build a unit of `width` channels in and out."""
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus its convolved residual, [B, width, h, w]."""
        residual: Tensor = self.bn1(self.conv1(F.relu(x)))
        residual = self.bn2(self.conv2(F.relu(residual)))
        return x + residual


class FeatureFusion(nn.Module):
    """Adds the features of a finer level to a map, refines it and doubles its size."""

    def __init__(self, width: int, has_skip: bool) -> None:
        """Build for `width` channels; the coarsest level has no skip: nothing is added."""
        super().__init__()
        self.skip = ResidualConvUnit(width) if has_skip else None
        self.refine = ResidualConvUnit(width)
        self.output = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Return [B, width, 2h, 2w] of x, and features where there is a skip, [B, width, h, w]."""
        if self.skip is not None:
            x = x + self.skip(features)
        # The published network upsamples before the 1x1 convolution. The result is the same, as
        # interpolation weights add up to 1, but the convolution has a quarter of the pixels here.
        x = self.output(self.refine(x))
        return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)


class FusionDecoder(Decoder):
    """Fuses four feature maps, coarse to fine, into embeddings at twice the finest resolution."""

    def __init__(self, channels: Sequence[int], width: int, dim: int) -> None:
        """Build for maps of `channels`, fine to coarse, and embeddings of `dim` channels."""
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(level, width, 3, padding=1, bias=False) for level in channels)
        self.fusions = nn.ModuleList(
            FeatureFusion(width, has_skip=level < len(channels) - 1) for level in range(len(channels))
        )
        self.head = nn.Conv2d(width, dim, 1)

    @property
    def projection(self) -> nn.Conv2d:
        """Return the last layer, a 1x1 convolution to the embeddings."""
        return self.head

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return pixel embeddings [B, dim, 2h, 2w] of maps whose finest is h x w."""
        *levels, coarsest = (lateral(m) for lateral, m in zip(self.laterals, maps))
        *fusions, first = self.fusions
        x = first(coarsest)
        for fusion, features in reversed(list(zip(fusions, levels))):
            x = fusion(x, features)
        embeddings: Tensor = self.head(x)
        return embeddings
