# SPDX-License-Identifier: Apache-2.0
"""The named models: what to build, and where the weights are."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import torch

from lseg_ros.model import checkpoint
from lseg_ros.model.backbones import IMAGE_ENCODERS, build_encoder
from lseg_ros.model.clip import CLIP_TEXT, ClipText, load_clip_text
from lseg_ros.model.decoder import PyramidDecoder
from lseg_ros.model.dpt import FusionDecoder
from lseg_ros.model.lseg import LSeg, LSegConfig
from lseg_ros.model.published import NETWORKS
from lseg_ros.model.text import TEXT_ENCODERS

AUTHORS = 'the links in the README of github.com/isl-org/lang-seg'
# The name in a model's configuration -> the decoder.
DECODERS = MappingProxyType({'pyramid': PyramidDecoder, 'dpt': FusionDecoder})


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be loaded by name."""

    name: str
    description: str
    weights: str = ''  # file in the package's weights folder
    publisher: str = ''  # else: what to download, and where from


MODELS = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            ModelSpec(
                name='lseg-lite',
                description='EfficientNet-Lite image encoder, MiniLM text; indoor rooms, runs on a CPU',
                weights='lseg-lite.safetensors',
            ),
            ModelSpec(
                name='lseg-vitl16',
                description="the paper's ViT-L/16, CLIP text; any words; weights by path",
                publisher=f'demo_e200.ckpt or fss_l16.ckpt by {AUTHORS}',
            ),
            ModelSpec(
                name='lseg-rn101',
                description="the paper's zero-shot ResNet-101, CLIP text; weights by path",
                publisher=f'pascal_fold*.ckpt, coco_fold*.ckpt or fss_rn101.ckpt by {AUTHORS}',
            ),
            ModelSpec(
                name='lseg-vitb32',
                description="the paper's ViT-B/32, CLIP text; weights, never published, by path",
                publisher='weights of your own: the authors published none',
            ),
        )
    }
)


def load(
    name_or_path: str | Path,
    device: str | torch.device = 'cpu',
    dtype: torch.dtype = torch.float32,
    text_model: str | Path | None = None,
    spatial: str | None = None,
) -> LSeg:
    """Load a model by its name or the path of its weights, in evaluation mode, frozen.

    The weights are a safetensors file of this package, or a checkpoint in the layout that
    LSeg's authors publish; nothing in it is executed. The image side is converted to `dtype`,
    while the text encoder, which runs once for each prompt, stays in float32. `text_model` is the
    directory that holds it, if it is not in the weights. `spatial` says of a published checkpoint
    with spatial regularisation what the file cannot: KIND:DEPTH:ACTIVATION, e.g.
    'bottleneck:2:lrelu', or 'none' to leave the blocks out.
    Raises ValueError for an unknown name or a damaged text model, FileNotFoundError if the
    weights or the text model are missing, CheckpointError (a ValueError) if the weights
    cannot be used.
    """
    with outline(name_or_path, text_model, spatial) as (model, stored):
        checkpoint.restore(model, stored, dtype)
    return model.to(device).eval().requires_grad_(False)


@contextmanager
def outline(
    name_or_path: str | Path, text_model: str | Path | None = None, spatial: str | None = None
) -> Iterator[tuple[LSeg, checkpoint.Checkpoint]]:
    """Give a model without its numbers, on the meta device, and the file that holds them.

    The file may be read while the context lasts. For arguments and errors see load.
    """
    with _weights(str(name_or_path)) as path:
        stored = checkpoint.read(path, spatial)
        try:
            _check_parts(stored.config)
        except ValueError as error:
            raise checkpoint.CheckpointError(f'{stored.path}: {error}') from error
        yield assemble(stored.config, text_model), stored


def build(
    config: LSegConfig, pretrained: bool = False, text_model: str | Path | None = None
) -> LSeg:
    """Build the network that `config` describes: image side random, text encoder real.

    With `pretrained` the image encoder has its ImageNet weights (see build_encoder).
    `text_model` is the folder of MiniLM, or a file of OpenAI's CLIP.
    Raises ValueError for an unknown encoder and FileNotFoundError without the text model.
    """
    _check_parts(config)
    image_encoder = build_encoder(config.encoder, pretrained)
    text_encoder = (
        load_clip_text(config.text, text_model)
        if config.text in CLIP_TEXT
        else TEXT_ENCODERS[config.text](text_model)
    )
    decoder = DECODERS[config.decoder](image_encoder.channels, config.width, text_encoder.dim)
    model = LSeg(config, image_encoder, decoder, text_encoder)
    # Depthwise convolutions on a CPU are many times faster in this layout.
    return model.to(memory_format=torch.channels_last)


def assemble(config: LSegConfig, text_model: str | Path | None) -> LSeg:
    """Build a network whose parts that are stored in a weights file take no memory yet."""
    if config.text in TEXT_ENCODERS:
        text_encoder = TEXT_ENCODERS[config.text](text_model)
    elif text_model and not Path(text_model).exists():  # not needed, but not what was meant
        raise FileNotFoundError(
            f'no text model at {text_model}; {config.name} has its own: leave it out'
        )
    with torch.device('meta'):
        if config.text in CLIP_TEXT:
            text_encoder = ClipText(CLIP_TEXT[config.text])
        image_encoder = build_encoder(config.encoder)
        decoder = DECODERS[config.decoder](image_encoder.channels, config.width, text_encoder.dim)
        return LSeg(config, image_encoder, decoder, text_encoder)


def config_of(name: str) -> LSegConfig:
    """Return the configuration of a model of MODELS, as it is built to be trained.

    Raises ValueError for another name.
    """
    if name not in MODELS:
        raise ValueError(_unknown(name))
    return NETWORKS[name].config if name in NETWORKS else LSegConfig(name=name)


def build_lite(
    encoder: str = 'tf_efficientnet_lite0',
    width: int = 160,
    pretrained: bool = True,
    text_model: str | Path | None = None,
) -> LSeg:
    """Build a small network for training: image side trainable, text encoder frozen."""
    return build(LSegConfig(encoder=encoder, width=width), pretrained, text_model)


def _check_parts(config: LSegConfig) -> None:
    """Raise ValueError unless there are encoders of the names in `config`."""
    for part, name, known in (
        ('image encoder', config.encoder, IMAGE_ENCODERS),
        ('decoder', config.decoder, DECODERS),
        ('text encoder', config.text, {**TEXT_ENCODERS, **CLIP_TEXT}),
    ):
        if name not in known:
            raise ValueError(f'unknown {part} {name!r}: use one of {", ".join(known)}')


def _weights(name_or_path: str) -> AbstractContextManager[Path]:
    """Return a context with the path of the weights; a zipped package is unpacked for it."""
    if name_or_path in MODELS and not MODELS[name_or_path].weights:
        raise FileNotFoundError(
            f'the weights of {name_or_path} are not in the package: download '
            f'{MODELS[name_or_path].publisher}, and give the path of the file instead of the name'
        )
    if name_or_path in MODELS:
        folder = resources.files('lseg_ros.model') / 'weights'
        return resources.as_file(folder / MODELS[name_or_path].weights)
    path = Path(name_or_path)
    if name_or_path and (path.suffix or len(path.parts) > 1 or path.exists()):
        return nullcontext(path)
    raise ValueError(_unknown(name_or_path))


def _unknown(name: str) -> str:
    """Return the message for a name that no model has, with the closest that one has."""
    message = f'unknown model {name!r}: use one of {", ".join(MODELS)}, or the path of a file'
    close = difflib.get_close_matches(name, MODELS, n=1)
    return f'{message}; did you mean {close[0]!r}?' if close else message
