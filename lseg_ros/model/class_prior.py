# SPDX-License-Identifier: Apache-2.0
"""Adds what the image encoder's own ImageNet classifier knows to a decoder's features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_CLASSES = 1000


class ClassPrior(nn.Module):
    """Names what an ImageNet classifier sees in each cell of the encoder's last feature map.

    Each class has a vector, which represents its name or was learned; a cell's output is their
    mean, weighted by the class probabilities. This is ConSE (Norouzi et al., "Zero-Shot Learning by
    Convex Combination of Semantic Embeddings", ICLR 2014), for cells instead of images. The mean is
    multiplied by 1 - entropy / log 1000, so that uncertain cells add little.
    """

    def __init__(self, channels: int, width: int, strength: float) -> None:
        """Build with random weights, for maps of `channels` and vectors of `width` channels.

        `strength` scales the output.
        """
        super().__init__()
        self.strength = strength
        self.classifier = nn.Conv2d(channels, IMAGENET_CLASSES, 1)
        self.vectors = nn.Conv2d(IMAGENET_CLASSES, width, 1, bias=False)

    def forward(self, features: Tensor, size: torch.Size) -> Tensor:
        """Return what to add to a decoder's last features, [B, width, *size]."""
        log = self.classifier(features).float().log_softmax(1)
        probabilities = log.exp()
        certainty = 1 + (probabilities * log).sum(1, keepdim=True) / math.log(IMAGENET_CLASSES)
        mean = self.vectors((self.strength * certainty * probabilities).to(features.dtype))
        return F.interpolate(mean, size=size, mode='bilinear', align_corners=False)
