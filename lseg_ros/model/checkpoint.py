# SPDX-License-Identifier: Apache-2.0
"""Weights files: safetensors with the network's configuration in the metadata.

MiniLM, which has a file of its own, is left out; CLIP's text encoder is stored. The checkpoints
that LSeg's authors published are read too, see lseg_ros.model.published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lseg_ros.model import published
from lseg_ros.model.foreign_files import DOWNLOAD, describe_foreign
from lseg_ros.model.lseg import TEXT_PREFIX, LSeg, LSegConfig
from lseg_ros.model.pickle_reader import PickleError, PickleFile, TensorView, is_zip
from lseg_ros.whole_files import whole_file, write_error

METADATA_KEY = 'lseg'
TOKENIZER_KEY = 'tokenizer'
ORIGIN_KEY = 'origin'
_MOST_MAPPED = 2**26  # bytes: 64 MiB


class CheckpointError(ValueError):
    """A weights file cannot be used; the message names it, the reason and the remedy."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file, read on demand."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]


class _MappedFile:
    """A safetensors file whose tensors are copied one at a time into memory of their own.

    What was read counts as memory in use while the file is mapped: it is mapped anew now and then,
    but not for each tensor, which would take longer than reading.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = _version(path)
        self._file: Any = None  # safetensors has no complete stubs
        self._read = 0  # bytes since it was mapped

    def copy(self, key: str) -> Tensor:
        """Return a copy of the tensor `key`; raise CheckpointError if the file has changed."""
        if self._file is None or self._read > _MOST_MAPPED:
            self._file, self._read = safe_open(self._path, framework='pt'), 0
        tensor: Tensor = self._file.get_tensor(key).clone()
        self._read += tensor.nbytes
        if _version(self._path) != self._version:
            raise CheckpointError(f'{self._path} was written anew while it was read: try again')
        return tensor


def _version(path: Path) -> tuple[int, ...]:
    """Return numbers that change when a file is replaced or written to."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a weights file, its tensors under the file's own keys."""

    path: Path
    config: LSegConfig
    tensors: Mapping[str, StoredTensor]
    file_key: Callable[[str], str] = str  # from a key of LSeg.state_dict to the file's
    facts: Mapping[str, str] = field(default_factory=dict)  # further properties, by name
    tokenizer: str = ''  # of the text encoder, if it belongs to the weights
    origin: Mapping[str, str] = field(default_factory=dict)  # where the weights come from


def save(model: LSeg, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write `model` and its configuration to `path`, with tensors of type `dtype`.

    A text encoder that has a file of its own is left out.
    Raise ValueError if a value is out of range for `dtype`, OSError if the file cannot be
    written.
    """
    tensors = {key: _convert(key, tensor, dtype) for key, tensor in _stored(model).items()}
    _write(path, tensors, model.config, model.text_encoder.stored_tokenizer)


def read(path: str | Path, spatial: str | None = None) -> Checkpoint:
    """Open a file that `save` wrote or a published checkpoint; tensors are read later.

    For `spatial` see published.configure.
    Raise FileNotFoundError if there is no file, CheckpointError for any other kind of file.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder: give the path of the weights file in it')
    if not path.is_file():
        raise FileNotFoundError(f'no weights file at {path.absolute()}')
    try:
        if is_zip(path):
            return _read_published(path, spatial)
        checkpoint = _read_own(path)
        if spatial is not None:
            raise ValueError('records its spatial regularisation: leave out spatial')
        return checkpoint
    except SafetensorError as error:
        raise CheckpointError(f'{path} {describe_foreign(path, error)}') from error
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f'{path} {error}') from error


def restore(
    model: LSeg, checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, device: str | torch.device = 'cpu'
) -> None:
    """Load the tensors of `checkpoint` onto `device` and into `model`, which may be on meta.

    The image side is converted to `dtype`, the text encoder to float32. Tensors are read one at
    a time and converted on `device`, so no more memory is needed than the network's own.
    Raise CheckpointError unless names, shapes and the tokenizer fit.
    """
    stored = match(model, checkpoint)
    try:
        model.text_encoder.read_tokenizer(checkpoint.tokenizer)
    except ValueError as error:
        raise CheckpointError(f'{checkpoint.path} {error}') from error
    state = {
        key: torch.zeros_like(tensor, device=device) if tensor.is_meta else tensor
        for key, tensor in model.state_dict().items()
        if key not in stored
    }
    for key, tensor in stored.items():
        kind = torch.float32 if key.startswith(TEXT_PREFIX) else dtype
        # Convolutions on a CPU, above all depthwise ones, are faster in this layout.
        layout = torch.channels_last if len(tensor.shape) == 4 else torch.preserve_format
        # In two steps, as one would convert on the CPU and copy what may be twice the bytes.
        state[key] = _read_tensor(checkpoint, tensor).to(device).to(kind, memory_format=layout)
    model.load_state_dict(state, assign=True)


def match(model: LSeg, checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    """Return the file's tensors under the keys of `model`, which may be on the meta device.

    Raise CheckpointError unless names and shapes agree.
    """
    expected = _stored(model)
    _check_names(checkpoint, {checkpoint.file_key(key) for key in expected})
    stored = {key: checkpoint.tensors[checkpoint.file_key(key)] for key in expected}
    for key, tensor in stored.items():
        if tensor.shape != tuple(expected[key].shape):
            raise CheckpointError(
                f'{checkpoint.path}: {checkpoint.file_key(key)} has the shape '
                f'{list(tensor.shape)}, {model.name} needs {list(expected[key].shape)}: '
                'a network of other sizes cannot be used'
            )
    return stored


def convert(
    model: LSeg, checkpoint: Checkpoint, path: str | Path, half: bool = False, origin: Mapping[str, str] | None = None
) -> None:
    """Write the tensors of `checkpoint` that `model` uses to `path`, in the format of `save`.

    They keep their precision, or become float16 if `half`. `origin` is recorded: facts about
    where the weights come from, by default those in `checkpoint`.
    Raise CheckpointError for a damaged file, ValueError for a value out of float16's range.
    """
    tensors = {}
    for key, stored in match(model, checkpoint).items():
        tensor = _read_tensor(checkpoint, stored)
        tensors[key] = _convert(key, tensor, torch.float16 if half else tensor.dtype)
    _write(path, tensors, model.config, checkpoint.tokenizer, checkpoint.origin if origin is None else origin)


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file by their keys; raise SafetensorError for another."""
    mapped = _MappedFile(path)
    with safe_open(path, framework='pt') as file:
        return {
            key: StoredTensor(tuple(file.get_slice(key).get_shape()), partial(mapped.copy, key))
            for key in file.keys()  # noqa: SIM118 -- not a mapping
        }


def _write(
    path: str | Path,
    tensors: dict[str, Tensor],
    config: LSegConfig,
    tokenizer: str,
    origin: Mapping[str, str] | None = None,
) -> None:
    """Write a file, whole or not at all."""
    path = Path(path)
    metadata = {METADATA_KEY: json.dumps(asdict(config))}
    if tokenizer:
        metadata[TOKENIZER_KEY] = tokenizer
    if origin:
        metadata[ORIGIN_KEY] = json.dumps(dict(origin))
    with whole_file(path) as part:
        try:
            save_file(tensors, part, metadata=metadata)
        except SafetensorError as error:
            raise write_error(part, error) from error


def _read_published(path: Path, spatial: str | None) -> Checkpoint:
    file = PickleFile(path)
    state = published.find_state_dict(file.content)
    views = {key: view for key, view in state.items() if isinstance(view, TensorView)}
    network = published.identify(views)
    config = published.configure(network, published.has_spatial(views), spatial)
    tensors = {
        key: StoredTensor(view.shape, partial(file.read, view))
        for key, view in views.items()
        if published.is_used(key, config)
    }
    facts = published.describe(file.content, views, config)
    return Checkpoint(path, config, tensors, published.published_key, facts)


def _read_own(path: Path) -> Checkpoint:
    with safe_open(path, framework='pt') as file:
        metadata = file.metadata() or {}
    origin = _parse_origin(metadata.get(ORIGIN_KEY, '{}'))
    return Checkpoint(
        path,
        _parse_config(path, metadata.get(METADATA_KEY)),
        read_safetensors(path),
        facts={'layout': 'safetensors of lseg', **origin},
        tokenizer=metadata.get(TOKENIZER_KEY, ''),
        origin=origin,
    )


def _read_tensor(checkpoint: Checkpoint, stored: StoredTensor) -> Tensor:
    try:
        return stored.read()
    except PickleError as error:
        raise CheckpointError(f'{checkpoint.path} {error}') from error


def _stored(model: LSeg) -> dict[str, Tensor]:
    """Return the tensors to store: batch counters, which only training uses, are left out."""
    state = model.image_state_dict() if model.text_encoder.has_own_file else model.state_dict()
    return {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}


def _convert(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    converted = tensor.detach().to('cpu', dtype).contiguous()
    if not converted.isfinite().all():
        raise ValueError(f'{key} has values out of the range of {dtype}: nothing was saved')
    return converted


def _parse_config(path: Path, text: str | None) -> LSegConfig:
    if text is None:
        raise CheckpointError(
            f'{path} is a safetensors file that lseg did not write: convert the checkpoint it was '
            'made from with lseg convert'
        )
    try:
        return LSegConfig(**json.loads(text))
    except (RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(
            f'{path} has an invalid configuration: {error}; was it written by a newer lseg?'
        ) from error


def _parse_origin(text: str) -> dict[str, str]:
    """Return the facts about where the weights come from; none if they are unreadable."""
    try:
        origin = json.loads(text)
    except (RecursionError, ValueError):
        return {}
    facts = origin.items() if isinstance(origin, dict) else ()
    return {name: value for name, value in facts if isinstance(value, str) and f'{name}{value}'.isprintable()}


def _check_names(checkpoint: Checkpoint, expected: set[str]) -> None:
    found = set(checkpoint.tensors)
    missing, extra = expected - found, found - expected
    problems = [
        f'{problem} {len(names)} (first {min(names)})'
        for problem, names in (('lacks', missing), ('has an extra', extra))
        if names
    ]
    if problems:
        remedy = f'{DOWNLOAD} in full' if missing else 'save it without them'
        raise CheckpointError(
            f'{checkpoint.path} does not fit: of the {len(expected)} tensors of '
            f'{checkpoint.config.name} it {" and ".join(problems)}: {remedy}'
        )
