# SPDX-License-Identifier: Apache-2.0
"""A small LSeg whose answers are known: each pixel belongs to the prompt nearest to its red."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from oracle_answers import LEVELS, red_of
from torch import Tensor, nn
from torch.nn import functional as F

from lseg_ros.core import factory
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.model import LSeg, LSegConfig
from lseg_ros.model.parts import Decoder, ImageEncoder, TextEncoder


class _Reds(ImageEncoder):
    """Turns pixels into their red, averaged over cells of `stride` pixels."""

    any_size = False
    channels = (1,)

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.gain * F.avg_pool2d(pixels[:, :1], self.stride)


class _Angles(Decoder):
    """Turns red into a point on a half circle, from black to red."""

    def forward(self, reds: Tensor) -> Tensor:
        angles = (reds + 1) * (math.pi / 2)  # normalised red is -1 to 1
        return torch.cat([angles.cos(), angles.sin()], 1)


class _Codes(TextEncoder):
    """Turns prompts into points on the half circle."""

    dim = 2
    has_own_file = True

    def encode(self, prompts: Sequence[str]) -> Tensor:
        angles = torch.tensor([red_of(prompt) for prompt in prompts]) * (math.pi / (LEVELS - 1))
        return torch.stack([angles.cos(), angles.sin()], 1)


def build_oracle(stride: int = 1) -> LSeg:
    """Return the network, which sees the image in cells of `stride` pixels."""
    network = LSeg(LSegConfig(name='oracle'), _Reds(stride), _Angles(), _Codes())
    return network.eval().requires_grad_(False)


@contextmanager
def oracle_in_node(stride: int = 1) -> Iterator[None]:
    """Make nodes open the oracle, whatever their parameter `model`."""
    from lseg_ros.nodes.segmentation import session  # needs ROS

    network = build_oracle(stride)

    def open_oracle(_model: str, *, threads: int = 0, input_size: int | None = None, **_: Any) -> Segmenter:
        return factory.open_segmenter(network, backend='eager', threads=threads, input_size=input_size)

    with mock.patch.multiple(session, open_segmenter=open_oracle, WARM_UP_SIZE=(stride, stride)):
        yield
