# SPDX-License-Identifier: Apache-2.0
"""Weights on disk: safetensors with the network's configuration in the metadata.

Only the image side is stored, in float16: the text encoder is frozen and has its own file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lseg_ros.model.lseg import LSeg, LSegConfig

METADATA_KEY = 'lseg'

# How files start that are often found where weights should be -> what to tell the user.
_FOREIGN = (
    (b'<', 'is a web page, not weights: download it again'),
    (b'version https://git-lfs', 'is a Git LFS pointer, not weights: run git lfs pull'),
    (b'PK\x03\x04', 'is a PyTorch file: expected safetensors written by lseg'),
    (b'\x80', 'is a pickle: expected safetensors written by lseg'),
)


class CheckpointError(ValueError):
    """A weights file cannot be used; the text says which one and why."""


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a weights file."""

    path: Path
    config: LSegConfig
    tensors: dict[str, Tensor]


def save(model: LSeg, path: str | Path) -> None:
    """Write the image side of `model` in float16, and its configuration, to `path`.

    Raises ValueError for a tensor that float16 cannot hold and OSError where the file
    cannot be written.
    """
    tensors = {key: _to_half(key, tensor) for key, tensor in _stored(model).items()}
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(asdict(model.config))})


def read(path: str | Path) -> Checkpoint:
    """Read a file that `save` wrote.

    Raises FileNotFoundError if there is none, CheckpointError if it is anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no weights file at {path}')
    try:
        with safe_open(path, framework='pt') as file:
            config = _parse_config(path, (file.metadata() or {}).get(METADATA_KEY))
            return Checkpoint(path, config, {key: file.get_tensor(key) for key in file.keys()})
    except SafetensorError as error:
        raise CheckpointError(f'{path} {_diagnose(path, error)}') from error


def restore(model: LSeg, checkpoint: Checkpoint) -> None:
    """Copy the tensors of `checkpoint` into `model`, which keeps its dtype and device.

    Raises CheckpointError unless names and shapes agree.
    """
    expected = _stored(model)
    _check_names(checkpoint, set(expected))
    for key, tensor in checkpoint.tensors.items():
        if tensor.shape != expected[key].shape:
            raise CheckpointError(
                f'{checkpoint.path}: {key} has the shape {list(tensor.shape)}, '
                f'the network needs {list(expected[key].shape)}')
    model.load_image_state_dict({**model.image_state_dict(), **checkpoint.tensors})


def _stored(model: LSeg) -> dict[str, Tensor]:
    """Return the tensors that a file holds; batch counters serve training only."""
    return {key: tensor for key, tensor in model.image_state_dict().items()
            if tensor.is_floating_point()}


def _to_half(key: str, tensor: Tensor) -> Tensor:
    half = tensor.detach().to('cpu', torch.float16).contiguous()
    if not half.isfinite().all():
        raise ValueError(f'{key} holds values that float16 cannot: not saved')
    return half


def _diagnose(path: Path, error: SafetensorError) -> str:
    """Say what the file at `path`, which is not safetensors, seems to be."""
    with path.open('rb') as file:
        start = file.read(64).lstrip()
    if not start:
        return 'is empty: download or train it again'
    for prefix, problem in _FOREIGN:
        if start.startswith(prefix):
            return problem
    return f'is truncated or not a safetensors file ({error}): download or train it again'


def _parse_config(path: Path, text: str | None) -> LSegConfig:
    if text is None:
        raise CheckpointError(f'{path} is a safetensors file, but not one written by lseg')
    try:
        return LSegConfig(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f'{path} has a configuration that is not valid: {error}') from error


def _check_names(checkpoint: Checkpoint, expected: set[str]) -> None:
    found = set(checkpoint.tensors)
    for problem, names in (('lacks', expected - found), ('has unexpected', found - expected)):
        if names:
            raise CheckpointError(
                f'{checkpoint.path} {problem} {len(names)} tensors of the network, '
                f'first {min(names)}')
