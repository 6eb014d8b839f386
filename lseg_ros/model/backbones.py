# SPDX-License-Identifier: Apache-2.0
"""Image encoders, built from timm's networks and named as they are."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import timm
import torch
from torch import Tensor, nn

from lseg_ros.model.dpt import Reassemble
from lseg_ros.model.parts import ImageEncoder
from lseg_ros.model.positions import PositionCache, resize_with_class_token

EFFICIENTNET_LITE = ('tf_efficientnet_lite0', 'tf_efficientnet_lite2')


@dataclass(frozen=True)
class VisionTransformerSettings:
    """Which blocks of a vision transformer give feature maps, and their numbers of channels."""

    blocks: tuple[int, ...]  # counted from 0
    channels: tuple[int, ...]


VISION_TRANSFORMERS = MappingProxyType(
    {
        'vit_large_patch16_384': VisionTransformerSettings(blocks=(5, 11, 17, 23), channels=(256, 512, 1024, 1024)),
        'vit_base_patch32_384': VisionTransformerSettings(blocks=(2, 5, 8, 11), channels=(96, 192, 384, 768)),
    }
)

IMAGE_ENCODERS = (*EFFICIENTNET_LITE, *VISION_TRANSFORMERS, 'resnet101')


class EfficientNetLite(ImageEncoder):
    """EfficientNet-Lite with TensorFlow's 'same' padding (Liu, 2020).

    It returns five maps: a pyramid at H/4, H/8, H/16 and H/32, and the classification features
    before pooling, at H/32, which say the most about the scene as a whole.
    """

    stride = 32
    any_size = True
    net: Any  # timm's network: mypy cannot know its attributes

    def __init__(self, name: str) -> None:
        """Build the encoder with random weights; `name` is one of EFFICIENTNET_LITE."""
        super().__init__()
        self.net = timm.create_model(name, num_classes=0)
        levels = self.net.feature_info[1:]
        self.channels = (*(level['num_chs'] for level in levels), self.net.num_features)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the five feature maps of a batch of images."""
        head, levels = self.net.forward_intermediates(pixels, indices=(1, 2, 3, 4))
        return (*levels, head)


class ResNet(ImageEncoder):
    """ResNet-101 in torchvision's layout (He et al., 2016); four maps, at H/4 to H/32."""

    stride = 32
    any_size = True
    net: Any

    def __init__(self, name: str = 'resnet101') -> None:
        """Build the encoder with random weights."""
        super().__init__()
        self.net = timm.create_model(name, num_classes=0, global_pool='')
        self.channels = tuple(level['num_chs'] for level in self.net.feature_info[1:])

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the four feature maps of a batch of images."""
        net = self.net
        x = net.maxpool(net.act1(net.bn1(net.conv1(pixels))))
        maps: list[Tensor] = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            maps.append(x)
        return tuple(maps)


class VisionTransformer(ImageEncoder):
    """Vision transformer (Dosovitskiy et al., 2021) whose blocks are reassembled to a pyramid.

    It returns four maps, at H/4, H/8, H/16 and H/32.
    """

    stride = 32
    any_size = False  # a trace contains the position embedding of one size
    net: Any

    def __init__(self, name: str, settings: VisionTransformerSettings) -> None:
        """Build the encoder with random weights; `name` is timm's."""
        super().__init__()
        self.net = timm.create_model(name, num_classes=0)
        self.net.norm = nn.Identity()  # not needed: the maps are taken before it
        self.blocks = settings.blocks
        self.channels = settings.channels
        self.patch = self.net.patch_embed.patch_size[0]
        self.reassemble = nn.ModuleList(
            Reassemble(self.net.embed_dim, channels, self.patch / stride)
            for channels, stride in zip(settings.channels, (4, 8, 16, 32))
        )
        self._positions = PositionCache(resize_with_class_token)

    def fix_size(self, height: int, width: int) -> None:
        """See ImageEncoder."""
        self._positions.fix(self.net.pos_embed, (height // self.patch, width // self.patch))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the four feature maps of a batch of images."""
        grid = (pixels.shape[2] // self.patch, pixels.shape[3] // self.patch)
        patches = self.net.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        x = torch.cat((self.net.cls_token.expand(len(patches), -1, -1), patches), dim=1)
        x = x + self._positions(self.net.pos_embed, grid)
        maps: list[Tensor] = []
        for index, block in enumerate(self.net.blocks):
            x = block(x)
            if index in self.blocks:
                maps.append(self.reassemble[len(maps)](x, grid))
        return tuple(maps)


def build_encoder(name: str) -> ImageEncoder:
    """Build the image encoder `name` of IMAGE_ENCODERS with random weights."""
    if name in EFFICIENTNET_LITE:
        return EfficientNetLite(name)
    if name in VISION_TRANSFORMERS:
        return VisionTransformer(name, VISION_TRANSFORMERS[name])
    return ResNet(name)
