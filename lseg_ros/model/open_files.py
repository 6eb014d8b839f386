# SPDX-License-Identifier: Apache-2.0
"""Reads the files in which open encoders are published, under the keys of LSeg.state_dict."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError
from torch import Tensor

from lseg_ros.model import published
from lseg_ros.model.checkpoint import Checkpoint, CheckpointError, StoredTensor, read_safetensors
from lseg_ros.model.foreign_files import describe_foreign
from lseg_ros.model.lseg import LSeg
from lseg_ros.model.open_networks import OpenNetwork, PublishedPart, open_networks
from lseg_ros.model.pickle_reader import PickleError, PickleFile, TensorView, is_zip
from lseg_ros.model.sentencepiece_file import read_sentencepiece
from lseg_ros.model.tips_text import TipsTextSettings
from lseg_ros.model.zoo import build

Tensors = dict[str, StoredTensor]


@dataclass(frozen=True)
class _Layout:
    """Published keys of a part as patterns, ours as their replacements; None drops the tensor."""

    ours: str  # prefix of the part in LSeg.state_dict
    renames: Mapping[str, str | None]


_IMAGE = _Layout('image_encoder.net.', {r'register_tokens$': 'reg_token', r'mask_token$': None})
_TIPS_TEXT = _Layout(
    'text_encoder.',
    {
        r'token_embedding\.': 'words.',
        r'transformer\.resblocks\.(\d+)\.attn\.': r'layers.layers.\1.self_attn.',
        r'transformer\.resblocks\.(\d+)\.ln_': r'layers.layers.\1.norm',
        r'transformer\.resblocks\.(\d+)\.mlp\.c_fc\.': r'layers.layers.\1.linear1.',
        r'transformer\.resblocks\.(\d+)\.mlp\.c_proj\.': r'layers.layers.\1.linear2.',
        r'ln_final\.': 'layers.norm.',
        r'temperature(_contrastive)?$': None,
    },
)
_CLIP_TEXT = _Layout('text_encoder.clip.net.', {r'visual\.': None, r'logit_scale$': None})
_PROJECTION = _Layout('text_encoder.', {r'linear_layer\.': 'hidden.', r'(hidden_layers\.0|linear_layer2)\.': 'output.'})


def _layouts_of(network: OpenNetwork) -> Mapping[str, _Layout]:
    """Return the layouts of the parts of a network that hold tensors."""
    text = _TIPS_TEXT if isinstance(network.text, TipsTextSettings) else _CLIP_TEXT
    return MappingProxyType({'image': _IMAGE, 'text': text, 'projection': _PROJECTION})


@contextmanager
def outline_published(name: str, files: Mapping[str, Path]) -> Iterator[tuple[LSeg, Checkpoint]]:
    """Yield the network `name` of `open_networks` on the meta device, and its published weights.

    `files` gives the path of each file that the network's description names. As with
    `zoo.outline`, the checkpoint can be read within the context, by `checkpoint.convert` or
    `checkpoint.restore`.
    Raise FileNotFoundError if a file is missing, CheckpointError if one cannot be used.
    """
    network = open_networks()[name]
    tensors = published_tensors(network, files)
    image = files[network.files['image'].file]
    tokenizer = _read_tokenizer(network, files)
    yield build(network.config, device='meta'), Checkpoint(image, network.config, tensors, tokenizer=tokenizer)


def published_tensors(network: OpenNetwork, files: Mapping[str, Path]) -> Tensors:
    """Return the published tensors of a network under the keys of LSeg.state_dict."""
    parts = _layouts_of(network).items()
    return {
        key: tensor
        for part, layout in parts
        if part in network.files
        for key, tensor in _read_part(network.files[part], layout, files).items()
    }


def _read_part(part: PublishedPart, layout: _Layout, files: Mapping[str, Path]) -> Tensors:
    path = files[part.file]
    found = {key[len(part.prefix) :]: each for key, each in _open(path).items() if key.startswith(part.prefix)}
    if not found:
        raise CheckpointError(f'{path} has no tensor {part.prefix}*: is it the right file?')
    if layout is _IMAGE:
        found = _separate_class_token(found)
    renamed = {_rename(key, layout): tensor for key, tensor in found.items()}
    return {layout.ours + key: tensor for key, tensor in renamed.items() if key is not None}


def _rename(key: str, layout: _Layout) -> str | None:
    for pattern, ours in layout.renames.items():
        if match := re.match(pattern, key):
            return None if ours is None else match.expand(ours) + key[match.end() :]
    return key


def _separate_class_token(tensors: Tensors) -> Tensors:
    """Add the class token's position embedding to it, which timm's files have done already."""
    token, positions = tensors.get('cls_token'), tensors.get('pos_embed')
    if token is None or positions is None or len(positions.shape) != 3:
        return tensors
    batch, count, dim = positions.shape
    if math.isqrt(count) ** 2 == count:
        return tensors

    def add() -> Tensor:
        return token.read() + positions.read()[:, :1]

    def rest() -> Tensor:
        return positions.read()[:, 1:]

    return {
        **tensors,
        'cls_token': StoredTensor(token.shape, add),
        'pos_embed': StoredTensor((batch, count - 1, dim), rest),
    }


def _open(path: Path) -> Tensors:
    """Return the tensors in a safetensors file or a state dict of PyTorch, by their keys."""
    if not path.is_file():
        raise FileNotFoundError(f'no weights file at {path}')
    try:
        if not is_zip(path):
            return read_safetensors(path)
        file = PickleFile(path)
        views = published.find_state_dict(file.content)
        return {
            key: StoredTensor(view.shape, partial(file.read, view))
            for key, view in views.items()
            if isinstance(view, TensorView)
        }
    except SafetensorError as error:
        raise CheckpointError(f'{path} {describe_foreign(path, error)}') from error
    except (PickleError, ValueError) as error:
        raise CheckpointError(f'{path} {error}') from error


def _read_tokenizer(network: OpenNetwork, files: Mapping[str, Path]) -> str:
    """Return the tokenizer as JSON, if the network has a file for it, after checking its ids."""
    part = network.files.get('tokenizer')
    if part is None:
        return ''
    path = files[part.file]
    if not path.is_file():
        raise FileNotFoundError(f'no tokenizer at {path}')
    try:
        tokenizer = read_sentencepiece(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    for text, expected in network.known_ids.items():
        ids = tokenizer.encode(text).ids
        if tuple(ids) != expected:
            raise CheckpointError(
                f'{path} is not the tokenizer of {network.config.name}: it turns {text!r} into '
                f'{ids}, not {list(expected)}; download the original'
            )
    return tokenizer.to_str()
