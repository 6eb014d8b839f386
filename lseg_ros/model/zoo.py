# SPDX-License-Identifier: Apache-2.0
"""The models that can be loaded by name, and how networks are built and loaded."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lseg_ros.downloads import kept
from lseg_ros.downloads.catalogue import DOWNLOADS
from lseg_ros.model import checkpoint
from lseg_ros.model.backbones import IMAGE_ENCODERS, build_encoder
from lseg_ros.model.clip import CLIP_TEXT, ClipText
from lseg_ros.model.decoder import PyramidDecoder
from lseg_ros.model.dpt import FusionDecoder
from lseg_ros.model.lseg import LSeg, LSegConfig
from lseg_ros.model.open_networks import build_text, open_networks
from lseg_ros.model.parts import ImageEncoder, TextEncoder
from lseg_ros.model.patch_encoder import NoDecoder, PatchEncoder
from lseg_ros.model.text import TEXT_ENCODERS
from lseg_ros.model.word_table import WordTable, parse_word_table

# By the name in a model's configuration.
DECODERS = MappingProxyType({'pyramid': PyramidDecoder, 'dpt': FusionDecoder, 'none': NoDecoder})


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be loaded by name."""

    name: str
    description: str
    weights: str = ''  # file in the package's weights folder
    remedy: str = ''  # what to do, if neither the package nor lseg fetch has any


_SPECS = (
    ModelSpec(
        'lseg-lite', 'EfficientNet-Lite, MiniLM text; indoor rooms; runs on a CPU', weights='lseg-lite.safetensors'
    ),
    ModelSpec('lseg-vitl16', "the paper's ViT-L/16, CLIP text; any words"),
    ModelSpec(
        'lseg-rn101',
        "the paper's zero-shot ResNet-101, CLIP text",
        remedy='fetch fss_rn101, or one of pascal_fold0 to 3 and coco_fold0 to 3, with lseg fetch and give that name',
    ),
    ModelSpec(
        'lseg-vitb32',
        "the paper's ViT-B/32, CLIP text; no published weights",
        remedy='train it yourself, since the authors published none, and give the path of the file',
    ),
)
_OPEN_SPECS = tuple(ModelSpec(name, network.description) for name, network in open_networks().items())
MODELS = MappingProxyType({spec.name: spec for spec in (*_SPECS, *_OPEN_SPECS)})


def load(
    name_or_path: str | Path,
    device: str | torch.device = 'cpu',
    dtype: torch.dtype = torch.float32,
    text_model: str | Path | None = None,
    spatial: str | None = None,
) -> LSeg:
    """Load a model by name or from its weights file, frozen and in evaluation mode.

    Args:
        name_or_path: a name in MODELS or of fetched weights, a safetensors file of this package, or
            a checkpoint in the layout of LSeg's authors; no code in it is executed.
        device: where to put the network.
        dtype: type of the image side; the text encoder stays in float32.
        text_model: folder of the text encoder, if the weights do not include it and it is not
            installed.
        spatial: for a published checkpoint with spatial regularisation, the settings that the
            file does not record: KIND:DEPTH:ACTIVATION, for example 'bottleneck:2:lrelu', or
            'none' to leave the blocks out.

    Raises:
        FileNotFoundError: the weights or the text model are missing.
        CheckpointError: the weights cannot be used.
        ValueError: the name is unknown or the text model is damaged.
    """
    with outline(name_or_path, text_model, spatial) as (model, stored):
        checkpoint.restore(model, stored, dtype, device)
    return model.to(device).eval().requires_grad_(False)


class _NoRandomValues(TorchFunctionMode):
    """Leaves out random initial values, which take long to draw, where a file replaces them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def outline(
    name_or_path: str | Path, text_model: str | Path | None = None, spatial: str | None = None
) -> Iterator[tuple[LSeg, checkpoint.Checkpoint]]:
    """Yield a model on the meta device, and the checkpoint with its weights.

    The checkpoint can be read within the context. For arguments and errors see `load`.
    """
    with _weights(str(name_or_path)) as path:
        stored = checkpoint.read(path, spatial)
        try:
            _check_parts(stored.config)
        except ValueError as error:
            raise checkpoint.CheckpointError(f'{stored.path}: {error}') from error
        with _NoRandomValues():
            model = build(stored.config, text_model, device='meta')
        yield model, stored


def build(config: LSegConfig, text_model: str | Path | None = None, device: str | torch.device = 'cpu') -> LSeg:
    """Build the network that `config` describes, with random weights on `device`.

    A text encoder that has a file of its own is loaded from `text_model`, or where it is
    installed, onto the CPU.
    Raise ValueError for an unknown part, FileNotFoundError without the text model.
    """
    _check_parts(config)
    with torch.device(device):
        image_encoder = _build_image_encoder(config.encoder)
        text_encoder = _build_text_encoder(config, text_model)
        decoder = DECODERS[config.decoder](image_encoder.channels, config.width, text_encoder.dim)
        if config.class_prior and isinstance(decoder, PyramidDecoder):
            decoder.add_class_prior(config.class_prior)
        model = LSeg(config, image_encoder, decoder, text_encoder)
    # Depthwise convolutions on a CPU are many times faster in this layout.
    return model.to(memory_format=torch.channels_last)


def _build_image_encoder(name: str) -> ImageEncoder:
    network = open_networks().get(name)
    return PatchEncoder(network.image) if network else build_encoder(name)


def _build_text_encoder(config: LSegConfig, text_model: str | Path | None) -> TextEncoder:
    if config.text in TEXT_ENCODERS:
        with torch.device('cpu'):
            return TEXT_ENCODERS[config.text](text_model)
    if text_model and not Path(text_model).expanduser().exists():  # not needed, but a sign of a mistake
        raise FileNotFoundError(f'no text model at {text_model}; {config.name} has its own, so leave it out')
    if table := parse_word_table(config.text):
        return WordTable(*table)
    network = open_networks().get(config.text)
    return build_text(network.text) if network else ClipText(CLIP_TEXT[config.text])


def check_name(name: str) -> None:
    """Raise ValueError unless `name` is in MODELS; the message suggests the closest that is."""
    if name not in MODELS:
        raise _unknown(name, MODELS)


def _unknown(name: str, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not known, with the closest that is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f'; did you mean {close[0]!r}?' if close else ''
    return ValueError(f'unknown model {name!r}: use one of {", ".join(MODELS)}, or the path of a file{hint}')


def _check_parts(config: LSegConfig) -> None:
    """Raise ValueError if a part that `config` names does not exist."""
    for part, name, known in (
        ('image encoder', config.encoder, (*IMAGE_ENCODERS, *open_networks())),
        ('decoder', config.decoder, DECODERS),
        ('text encoder', config.text, (*TEXT_ENCODERS, *CLIP_TEXT, *open_networks())),
    ):
        if name not in known and not (part == 'text encoder' and parse_word_table(name)):
            raise ValueError(f'unknown {part} {name!r}: use one of {", ".join(known)}')
    if config.class_prior and config.decoder != 'pyramid':
        raise ValueError(f'class_prior {config.class_prior:g} needs the decoder pyramid, not {config.decoder}')


def _weights(name_or_path: str) -> AbstractContextManager[Path]:
    """Return a context with the path of the weights, which a zipped package extracts for it."""
    spec = MODELS.get(name_or_path)
    if spec and spec.weights:
        return resources.as_file(resources.files('lseg_ros.model') / 'weights' / spec.weights)
    if spec or name_or_path in DOWNLOADS:
        return nullcontext(_fetched(name_or_path, spec.remedy if spec else ''))
    path = Path(name_or_path).expanduser()
    if name_or_path and (path.suffix or len(path.parts) > 1 or path.exists()):
        return nullcontext(path)
    raise _unknown(name_or_path, {**MODELS, **DOWNLOADS})


def _fetched(name: str, remedy: str) -> Path:
    """Return the path of fetched weights; raise FileNotFoundError if they are missing."""
    path = kept.path_of(name)
    if not path.is_file():
        raise FileNotFoundError(f'the weights of {name} are not on this machine: {remedy or f"run lseg fetch {name}"}')
    return path
