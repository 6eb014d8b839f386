# SPDX-License-Identifier: Apache-2.0
"""Weights on disk: safetensors with the network's configuration in the metadata.

A text encoder that has its own file is left out; CLIP's, which the published checkpoints hold,
is stored. Published checkpoints are read as well, see lseg_ros.model.published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lseg_ros.model import published
from lseg_ros.model.foreign_files import describe_foreign
from lseg_ros.model.lseg import TEXT_PREFIX, LSeg, LSegConfig
from lseg_ros.model.pickle_reader import PickleError, PickleFile, TensorView, is_pickle

METADATA_KEY = 'lseg'

_DTYPES = MappingProxyType(
    {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}
)


class CheckpointError(ValueError):
    """A weights file cannot be used; the text says which one and why."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file, read when it is wanted."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a weights file; `tensors` under the file's own keys."""

    path: Path
    config: LSegConfig
    tensors: Mapping[str, StoredTensor]
    file_key: Callable[[str], str] = str  # the file's key for one of LSeg.state_dict
    facts: Mapping[str, str] = field(default_factory=dict)  # what else is worth telling


def save(model: LSeg, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write `model` and its configuration to `path`, in float16 unless `dtype` says otherwise.

    A text encoder that has a file of its own is left out.
    Raises ValueError for a tensor that `dtype` cannot hold and OSError where the file
    cannot be written.
    """
    tensors = {key: _convert(key, tensor, dtype) for key, tensor in _stored(model).items()}
    _write(path, tensors, model.config)


def read(path: str | Path, spatial: str | None = None) -> Checkpoint:
    """Read what a file holds, all but the numbers: one that `save` wrote, or a published one.

    For `spatial` see published.configure.
    Raises FileNotFoundError if there is none, CheckpointError if it is anything else.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder: give the path of the weights file in it')
    if not path.is_file():
        raise FileNotFoundError(f'no weights file at {path}')
    try:
        if is_pickle(path):
            return _read_published(path, spatial)
        if spatial is not None:
            raise ValueError('tells of its spatial regularisation itself: leave out spatial')
        return _read_own(path)
    except SafetensorError as error:
        raise CheckpointError(f'{path} {describe_foreign(path, error)}') from error
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f'{path} {error}') from error


def restore(model: LSeg, checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> None:
    """Give `model`, whose stored tensors may be on the meta device, those of `checkpoint`.

    The image side gets `dtype`, the text encoder float32. One tensor is read after the
    other, so that no more memory is needed than the network's own.
    Raises CheckpointError unless names and shapes agree.
    """
    stored = match(model, checkpoint)
    state = {
        key: torch.zeros_like(tensor, device='cpu') if tensor.is_meta else tensor
        for key, tensor in model.state_dict().items()
        if key not in stored
    }
    try:
        for key, tensor in stored.items():
            kind = torch.float32 if key.startswith(TEXT_PREFIX) else dtype
            # Convolutions on a CPU, the depthwise ones above all, are faster in this layout.
            layout = torch.channels_last if len(tensor.shape) == 4 else torch.preserve_format
            state[key] = tensor.read().to(kind, memory_format=layout)
    except PickleError as error:
        raise CheckpointError(f'{checkpoint.path} {error}') from error
    model.load_state_dict(state, assign=True)


def match(model: LSeg, checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    """Return the file's tensors under the keys of `model`, which may be on the meta device.

    Raises CheckpointError unless names and shapes agree.
    """
    expected = _stored(model)
    _check_names(checkpoint, {checkpoint.file_key(key) for key in expected})
    stored = {key: checkpoint.tensors[checkpoint.file_key(key)] for key in expected}
    for key, tensor in stored.items():
        if tensor.shape != tuple(expected[key].shape):
            raise CheckpointError(
                f'{checkpoint.path}: {checkpoint.file_key(key)} has the shape '
                f'{list(tensor.shape)}, {model.name} needs {list(expected[key].shape)}: '
                'it holds a network of other sizes, which cannot be used'
            )
    return stored


def convert(model: LSeg, checkpoint: Checkpoint, path: str | Path, half: bool = False) -> None:
    """Write those tensors of `checkpoint` that `model` uses to `path`, as `save` does.

    They keep their precision, or have float16 if `half`.
    Raises CheckpointError for a damaged file, ValueError for a value that float16 cannot hold.
    """
    tensors = {}
    try:
        for key, stored in match(model, checkpoint).items():
            tensors[key] = _convert(key, stored.read(), torch.float16 if half else stored.dtype)
    except PickleError as error:
        raise CheckpointError(f'{checkpoint.path} {error}') from error
    _write(path, tensors, model.config)


def _write(path: str | Path, tensors: dict[str, Tensor], config: LSegConfig) -> None:
    """Write the file beside its place and move it there: no half file is ever seen."""
    path = Path(path)
    part = path.with_name(f'{path.name}.part')
    try:
        save_file(tensors, part, metadata={METADATA_KEY: json.dumps(asdict(config))})
        part.replace(path)
    except SafetensorError as error:
        raise OSError(f'{path} cannot be written: {error}') from error
    finally:
        part.unlink(missing_ok=True)


def _read_published(path: Path, spatial: str | None) -> Checkpoint:
    file = PickleFile(path)
    state = published.find_state_dict(file.content)
    views = {key: view for key, view in state.items() if isinstance(view, TensorView)}
    network = published.identify(views)
    config = published.configure(network, published.has_spatial(views), spatial)
    tensors = {
        key: StoredTensor(view.shape, view.dtype, partial(file.read, view))
        for key, view in views.items()
        if published.is_used(key, config)
    }
    facts = published.describe(file.content, views, config)
    return Checkpoint(path, config, tensors, published.published_key, facts)


def _read_own(path: Path) -> Checkpoint:
    with safe_open(path, framework='pt') as file:
        config = _parse_config(path, (file.metadata() or {}).get(METADATA_KEY))
        slices = {key: file.get_slice(key) for key in file.keys()}
        tensors = {
            key: StoredTensor(
                tuple(part.get_shape()),
                _DTYPES.get(part.get_dtype()),
                partial(_read_tensor, path, key),
            )
            for key, part in slices.items()
        }
    return Checkpoint(path, config, tensors, facts={'layout': 'safetensors of lseg'})


def _read_tensor(path: Path, key: str) -> Tensor:
    """Read one tensor into memory of its own, and let go of the file's."""
    with safe_open(path, framework='pt') as file:
        return file.get_tensor(key).clone()


def _stored(model: LSeg) -> dict[str, Tensor]:
    """Return the tensors that a file holds; batch counters serve training only."""
    state = model.image_state_dict() if model.text_encoder.has_own_file else model.state_dict()
    return {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}


def _convert(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    converted = tensor.detach().to('cpu', dtype).contiguous()
    if not converted.isfinite().all():
        raise ValueError(f'{key} holds values that {dtype} cannot: not saved')
    return converted


def _parse_config(path: Path, text: str | None) -> LSegConfig:
    if text is None:
        raise CheckpointError(
            f'{path} is a safetensors file, but not one written by lseg: give the checkpoint that '
            'it was made from, which lseg convert turns into one'
        )
    try:
        return LSegConfig(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f'{path} has a configuration that is not valid: {error}; was it written by a newer '
            'lseg?'
        ) from error


def _check_names(checkpoint: Checkpoint, expected: set[str]) -> None:
    found = set(checkpoint.tensors)
    missing, extra = expected - found, found - expected
    problems = [
        f'{verb} {len(names)}, first {min(names)}'
        for verb, names in (('lacks', missing), ('has besides', extra))
        if names
    ]
    if problems:
        mend = 'download or save it again, whole' if missing else 'save it without them'
        raise CheckpointError(
            f'{checkpoint.path} does not fit: of the {len(expected)} tensors of '
            f'{checkpoint.config.name} it {", and ".join(problems)}: {mend}'
        )
