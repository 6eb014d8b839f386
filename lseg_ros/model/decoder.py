# SPDX-License-Identifier: Apache-2.0
"""Decoders: feature maps of an image encoder to one embedding for each pixel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lseg_ros.model.class_prior import ClassPrior
from lseg_ros.model.parts import Decoder


class SeparableBlock(nn.Module):
    """Residual block: 5x5 depthwise then 1x1 convolution, each with batch normalisation."""

    def __init__(self, width: int) -> None:
        """Build a block of `width` channels in and out."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus its convolved residual, [B, width, h, w]."""
        residual: Tensor = self.layers(x)
        return x + residual


class PyramidDecoder(Decoder):
    """Feature pyramid (Lin et al., 2017) of separable blocks with a global context branch.

    The coarsest level sums the encoder's last stage, its classification features, and the mean of
    those over the image, which tells every pixel what kind of scene it is in. Each finer level
    adds the upsampled coarser level to its own features. A class prior, if there is one, is added
    before the last layer.
    """

    blocks_per_level = (1, 2, 2, 2)  # fine to coarse: the finest level costs the most

    def __init__(self, channels: Sequence[int], width: int, dim: int, dropout: float = 0.1) -> None:
        """Build for maps of `channels` (four levels and the head) and `dim` output channels.

        `dropout` is the share of channels dropped before the last layer in training.
        """
        super().__init__()
        *levels, head = channels
        # Normalises the encoder's maps with trained weights, even if the encoder is frozen.
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(level), nn.Conv2d(level, width, 1)) for level in levels
        )
        self.head = nn.Conv2d(head, width, 1)
        self.context = nn.Conv2d(head, width, 1)
        self.levels = nn.ModuleList(
            nn.Sequential(*(SeparableBlock(width) for _ in range(count))) for count in self.blocks_per_level
        )
        projection = nn.Conv2d(width, dim, 1)
        self.output = nn.Sequential(nn.ReLU(), nn.Dropout2d(dropout), projection)
        self.class_prior: ClassPrior | None = None

    def add_class_prior(self, strength: float) -> ClassPrior:
        """Add a class prior with random weights, in place of any other, and return it."""
        self.class_prior = ClassPrior(self.head.in_channels, self.head.out_channels, strength)
        return self.class_prior

    @property
    def projection(self) -> nn.Conv2d:
        """Return the last layer, a 1x1 convolution to the embeddings."""
        layer = self.output[-1]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def features(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the input of the last layer, [B, width, h, w], at the finest level."""
        *levels, head = maps
        x: Tensor = self.head(head) + self.context(head.mean((2, 3), keepdim=True))
        for features, lateral, blocks in reversed(list(zip(levels, self.laterals, self.levels))):
            x = F.interpolate(x, size=features.shape[-2:], mode='bilinear', align_corners=False)
            x = blocks(x + lateral(features))
        x = self.output[:-1](x)
        if self.class_prior is not None:
            x = x + self.class_prior(head, x.shape[-2:])
        return x

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return pixel embeddings [B, dim, h, w] at the finest level, not yet normalised."""
        embeddings: Tensor = self.projection(self.features(maps))
        return embeddings
