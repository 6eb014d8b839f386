# SPDX-License-Identifier: Apache-2.0
"""Spatial regularisation of the logits (Li et al., 2022, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

KINDS = ('depthwise', 'bottleneck')
ACTIVATIONS = MappingProxyType({'lrelu': nn.LeakyReLU, 'relu': nn.ReLU, 'tanh': nn.Tanh})
MAX_DEPTH = 64
NO_SPATIAL = 'none'


@dataclass(frozen=True)
class SpatialSettings:
    """The settings of spatial regularisation, which published checkpoints do not record.

    The authors' options are arch_option (1: bottleneck, 2: depthwise), block_depth and activation.
    """

    kind: str
    depth: int
    activation: str

    @classmethod
    def parse(cls, text: str) -> SpatialSettings | None:
        """Parse 'KIND:DEPTH:ACTIVATION', e.g. 'bottleneck:2:lrelu'; return None for 'none'.

        Raise ValueError for anything else.
        """
        if text == NO_SPATIAL:
            return None
        kind, depth, activation = (*text.split(':'), '', '')[:3]
        if (
            kind not in KINDS
            or activation not in ACTIVATIONS
            or not depth.isdecimal()
            or int(depth) > MAX_DEPTH
            or text.count(':') != 2
        ):
            raise ValueError(
                f'spatial must be {NO_SPATIAL!r} or KIND:DEPTH:ACTIVATION, as in '
                f"'bottleneck:2:lrelu', where KIND is one of {', '.join(KINDS)}, DEPTH is 0 to "
                f'{MAX_DEPTH} and ACTIVATION is one of {", ".join(ACTIVATIONS)}; not {text!r}'
            )
        return cls(kind, int(depth), activation)


class SpatialRegularisation(nn.Module):
    """One 3x3 convolution, applied `depth` times to the logits of each label separately.

    All labels and all applications share its weights, so the number of labels is free. The kind
    'bottleneck' adds the largest logit over all labels to each. The activation follows every
    application but the last. A depth of 0 means one application, as in the published code.
    """

    def __init__(self, settings: SpatialSettings) -> None:
        """Build with random weights."""
        super().__init__()
        self.settings = settings
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.activation = ACTIVATIONS[settings.activation]()

    def forward(self, logits: Tensor) -> Tensor:
        """Return the regularised logits [B, K, h, w]."""
        for _ in range(self.settings.depth - 1):
            logits = self.activation(self._apply_once(logits))
        return self._apply_once(logits)

    def _apply_once(self, logits: Tensor) -> Tensor:
        smooth: Tensor = self.conv(logits.flatten(0, 1).unsqueeze(1)).view_as(logits)
        if self.settings.kind == 'bottleneck':
            smooth = smooth + torch.amax(logits, dim=1, keepdim=True)
        return smooth
