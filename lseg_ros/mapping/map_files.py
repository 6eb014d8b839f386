# SPDX-License-Identifier: Apache-2.0
"""Maps as files: safetensors with the voxels, and the model that their vectors belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lseg_ros.core.embedding import LONGEST_UNIT
from lseg_ros.mapping.labelling import EncodedTexts
from lseg_ros.mapping.unusable import Unusable
from lseg_ros.mapping.voxel_index import REACH, keys_of
from lseg_ros.mapping.voxel_map import Voxels
from lseg_ros.whole_files import whole_file, write_error

_LAST_S = 2.0**31  # the latest time that a stamp of ROS can hold
_KEY = 'lseg_map'  # of the facts in the metadata of the file
_FORMAT = 1
_BLOCK = 65_536  # vectors that are checked at once
_AXES = 'axes'
_DTYPES = {
    'cells': torch.int32,
    'weights': torch.float32,
    'colors': torch.uint8,
    'seen_s': torch.float64,
    'vectors': torch.float16,
}


@dataclass(frozen=True)
class MapFacts:
    """What a map is of: the id of its vectors, the size of a voxel in metres, and its frame.

    With `axes`, orthonormal float32 [D, d], the vectors of the voxels are those of the model along
    the axes only. With `names`, they are votes: a share for each of the names of labels.
    """

    model: str
    voxel_size: float
    frame: str = 'map'
    axes: Tensor | None = field(default=None, compare=False, repr=False)
    names: tuple[str, ...] = ()

    def project(self, texts: EncodedTexts) -> EncodedTexts:
        """Return `texts` as rows that may be compared with the vectors of the map.

        Raise ValueError, with both names, if another model encoded them, and if the axes are of
        vectors with another number of dimensions.
        """
        check_model(self, texts.model)
        if self.axes is None:
            return texts
        expected, dimensions = self.axes.shape[0], texts.rows.shape[1]
        if dimensions != expected:
            raise ValueError(
                f'the axes of the map are of {expected} dimensions, but {self.model} has {dimensions}: '
                'the map is damaged, so build it again'
            )
        return replace(texts, rows=texts.rows @ self.axes)


def write_map(path: Path, voxels: Voxels, facts: MapFacts) -> None:
    """Write a map; nothing appears at `path` until all is written. Raise OSError on failure."""
    tensors = {name: torch.as_tensor(getattr(voxels, name)).to(dtype).contiguous() for name, dtype in _DTYPES.items()}
    if facts.axes is not None:
        tensors[_AXES] = facts.axes
    text = {'format': _FORMAT, 'model': facts.model, 'voxel_size': facts.voxel_size, 'frame': facts.frame}
    metadata = {_KEY: json.dumps(text | {'names': facts.names})}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        try:
            save_file(tensors, part, metadata)
        except Exception as error:
            raise write_error(part, error) from error


def read_map(path: Path) -> tuple[Voxels, MapFacts]:
    """Read a map. Raise OSError if the file cannot be read, ValueError if it is not a whole map."""
    if not path.is_file():
        raise FileNotFoundError(f'no such map: {path}')
    try:
        with safe_open(path, 'pt') as file:
            facts = _facts(path, (file.metadata() or {}).get(_KEY, ''))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f'{path} is not a map, or cut short: {error}') from error
    axes = tensors.pop(_AXES, None)
    # Copied, as these outlive the file: it may be written anew in place, and is mapped until then.
    facts = replace(facts, axes=None if axes is None else axes.clone())
    _check(path, tensors, facts)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items() if name != 'vectors'}
    voxels = Voxels(**arrays, vectors=tensors['vectors'])
    if faults := _faults(voxels):
        raise ValueError(f'{path} is damaged: {", ".join(faults)}')
    return voxels, facts


def check_model(facts: MapFacts, model: str) -> None:
    """Raise Unusable, with both names, if the vectors of a map do not belong to `model`."""
    if facts.model != model:
        raise Unusable(
            'another model', f'the map has vectors of {facts.model}, but the model is {model}: they cannot be compared'
        )


def _facts(path: Path, text: str) -> MapFacts:
    try:
        facts = json.loads(text)
        if facts.pop('format') != _FORMAT:
            raise ValueError('another format')
        names = tuple(map(str, facts.get('names', ())))
        facts = MapFacts(str(facts['model']), float(facts['voxel_size']), str(facts['frame']), names=names)
        if not 0 < facts.voxel_size < np.inf:
            raise ValueError('voxel_size')
        return facts
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is not a map of this version of lseg_ros') from error


def _check(path: Path, tensors: dict[str, Tensor], facts: MapFacts) -> None:
    """Raise ValueError unless there are the arrays of `Voxels`, as long as the facts say."""
    count = len(tensors['cells']) if 'cells' in tensors else -1
    width = {'cells': (3,), 'colors': (3,), 'vectors': tuple(tensors.get('vectors', torch.empty(0, 0)).shape[1:])}
    for name, dtype in _DTYPES.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.dtype != dtype or tuple(tensor.shape) != (count, *width.get(name, ())):
            raise ValueError(f'{path} is not a map: its {name} are missing or of another shape')
    if len(tensors) != len(_DTYPES) or tensors['vectors'].ndim != 2:
        raise ValueError(f'{path} is not a map: it holds {", ".join(sorted(tensors))}')
    dimensions, axes = tensors['vectors'].shape[1], facts.axes
    if axes is not None and not (
        axes.dtype == torch.float32 and axes.ndim == 2 and axes.shape[1] == dimensions and axes.isfinite().all()
    ):
        raise ValueError(f'{path} is not a map: its axes are not those of its vectors')
    if facts.names and len(facts.names) != dimensions:
        raise ValueError(f'{path} is not a map: it has {dimensions} votes for {len(facts.names)} names')


def _faults(voxels: Voxels) -> list[str]:
    """Return what is in no map that was written whole: one such value would spoil all answers."""
    within = ((voxels.cells > -REACH) & (voxels.cells < REACH)).all()
    is_sound = {
        'voxels too far from the origin': within,
        'voxels that are there twice': not within or len(np.unique(keys_of(voxels.cells))) == len(voxels),
        'weights out of range': ((voxels.weights > 0) & np.isfinite(voxels.weights)).all(),
        'impossible times': ((voxels.seen_s >= 0) & (voxels.seen_s < _LAST_S)).all(),
        'vectors that are no means of unit vectors': all(
            (torch.linalg.vector_norm(part.float(), dim=1) <= LONGEST_UNIT).all()
            for part in voxels.vectors.split(_BLOCK)
        ),
    }
    return [fault for fault, sound in is_sound.items() if not sound]
