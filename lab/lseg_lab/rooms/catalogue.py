# SPDX-License-Identifier: Apache-2.0
"""Read Sweet Home 3D furniture catalogues (.sh3f or the program's jar) as named, sized meshes."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from lseg_lab.rooms.meshes import LAYER, NO_TEXTURE, NORMAL, POSITION, Mesh, simplified
from lseg_lab.rooms.model_labels import label_of
from lseg_lab.rooms.obj import Archive, read_obj

TEXTURE_SIZE = 256
_MAX_TRIANGLES = 8_000  # finer detail is invisible in a picture of a room
_HOPELESS_TRIANGLES = 150_000  # too slow to read
_CACHE_FORMAT = 7  # changes with the classes in the pickle, and where they are
_PROPERTIES = ('PluginFurnitureCatalog.properties', 'com/eteks/sweethome3d/io/DefaultFurnitureCatalog.properties')
_LICENCES = {
    'BlendSwap-CC-0': 'CC0-1.0',
    'BlendSwap-CC-BY': 'CC-BY-3.0',
    'Scopia': 'CC-BY-3.0',
    'KatorLegaz': 'CC-BY-3.0-US',
    'Reallusion': 'CC-BY-3.0-US',
    'sweethome3d': 'GPL-2.0-or-later',
}


@dataclass(frozen=True, eq=False)
class Model:
    """A piece of furniture: front towards +z, standing on y = 0, centred in x and z."""

    key: str  # catalogue and number, such as "Scopia#17"
    name: str
    label: str
    creator: str
    licence: str
    size: np.ndarray  # width, height, depth in metres
    elevation: float  # of its base above the floor, metres
    top: float  # height of the surface that carries things, metres; 0 if there is none
    mesh: Mesh
    others: tuple[tuple[str, Mesh], ...] = ()  # what else belongs to it, with classes of their own
    settings: tuple[str, ...] = ()  # where it is found, such as 'warehouse', if that is known


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All usable models, and the textures (uint8 [N, 256, 256, 4]) that their meshes refer to."""

    models: tuple[Model, ...]
    textures: np.ndarray


EMPTY = Catalogue((), np.zeros((0, TEXTURE_SIZE, TEXTURE_SIZE, 4), np.uint8))


def load_catalogues(paths: Sequence[Path]) -> Catalogue:
    """Read the catalogues, or the copy that an earlier call left in the user's cache folder."""
    if not paths:
        return EMPTY
    identity = repr([(path.name, path.stat().st_size) for path in paths]).encode()
    return cached('catalogue', identity, lambda: _read_catalogues(paths))


def cached(name: str, identity: bytes, read: Callable[[], Catalogue]) -> Catalogue:
    """Return what `read` does, or the copy of it in the user's cache folder with this identity."""
    path = _cache_path(name, identity)
    if path.exists():
        return pickle.loads(path.read_bytes())
    catalogue = read()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # other processes may write it too
        part = Path(folder) / path.name
        part.write_bytes(pickle.dumps(catalogue, protocol=5))
        part.replace(path)
    return catalogue


def _cache_path(name: str, identity: bytes) -> Path:
    digest = hashlib.sha256(repr(_CACHE_FORMAT).encode() + identity).hexdigest()[:16]
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'lseg_ros' / f'{name}-{digest}.pickle'


def joined(first: Catalogue, second: Catalogue) -> Catalogue:
    """Return both catalogues as one; the textures of the second follow those of the first."""
    if not second.models:
        return first
    shift = len(first.textures)
    moved = [
        replace(
            model,
            mesh=_shifted(model.mesh, shift),
            others=tuple((label, _shifted(mesh, shift)) for label, mesh in model.others),
        )
        for model in second.models
    ]
    return Catalogue((*first.models, *moved), np.concatenate([first.textures, second.textures]))


def _shifted(mesh: Mesh, layers: int) -> Mesh:
    vertices = mesh.vertices.copy()
    vertices[vertices[:, LAYER] != NO_TEXTURE, LAYER] += layers
    return Mesh(vertices)


def _read_catalogues(paths: Sequence[Path]) -> Catalogue:
    textures = _TextureReader()
    models = [model for path in paths for model in _read_catalogue(path, textures)]
    layers = np.stack(textures.layers) if textures.layers else EMPTY.textures
    return Catalogue(tuple(models), layers)


def read_properties(archive: Archive) -> dict[str, dict[str, str]]:
    """Return a catalogue's entries: number -> {"name": ..., "model": ..., "width": ...}."""
    entry = next(filter(None, map(archive.find, _PROPERTIES)), None)
    if entry is None:
        raise ValueError(f'{archive.path} is not a Sweet Home 3D furniture catalogue')
    text = archive.read(entry).decode('latin1')
    items: dict[str, dict[str, str]] = defaultdict(dict)
    for name, number, value in re.findall(r'^(\w+)#(\d+)\s*=\s*(.*?)\s*$', text, re.MULTILINE):
        items[number][name] = value
    return items


def _read_catalogue(path: Path, textures: _TextureReader) -> list[Model]:
    archive = Archive(str(path))
    items = read_properties(archive)
    progress = tqdm(items.items(), desc=f'Reading {path.name}', unit='model')
    models = (_read_model(archive, path.stem, number, item, textures) for number, item in progress)
    return [model for model in models if model is not None]


def _read_model(
    archive: Archive, source: str, number: str, item: dict[str, str], textures: _TextureReader
) -> Model | None:
    label = label_of(item.get('name', ''))
    entry = archive.find(item.get('model', '').lstrip('/'))
    if label is None or entry is None:
        return None
    mesh = read_obj(archive, entry, lambda image: textures.layer(archive, source, image))
    if mesh is None or len(mesh.vertices) > 3 * _HOPELESS_TRIANGLES:
        return None
    mesh = simplified(mesh, _MAX_TRIANGLES)
    size = np.array([float(item[side]) / 100 for side in ('width', 'height', 'depth')])
    licence = _LICENCES.get(source, 'see the catalogue')
    return Model(
        f'{source}#{number}',
        item['name'],
        label,
        item.get('creator', ''),
        licence,
        size,
        float(item.get('elevation', 0)) / 100,
        max(0.0, float(item.get('dropOnTopElevation', item['height'])) / 100),
        _fitted(mesh, size, item.get('modelRotation')),
    )


def _fitted(mesh: Mesh, size: np.ndarray, rotation: str | None) -> Mesh:
    """Return the mesh rotated as the catalogue specifies, scaled to `size`, at the origin."""
    vertices = mesh.vertices.copy()
    if rotation:
        matrix = np.array(rotation.split(), np.float32).reshape(3, 3)
        vertices[:, POSITION] = vertices[:, POSITION] @ matrix.T
        vertices[:, NORMAL] = vertices[:, NORMAL] @ matrix.T
    low, high = Mesh(vertices).bounds
    points = (vertices[:, POSITION] - (low + high) / 2) / np.maximum(high - low, 1e-6) * size
    vertices[:, POSITION] = points + np.array([0, size[1] / 2, 0])
    return Mesh(vertices)


class _TextureReader:
    """Assign each image entry a layer in one texture array."""

    def __init__(self) -> None:
        self.layers: list[np.ndarray] = []
        self._known: dict[tuple[str, str], float] = {}

    def layer(self, archive: Archive, source: str, image: str) -> float:
        """Return the layer of an image entry, or NO_TEXTURE if it cannot be read."""
        key = (source, image)
        if key not in self._known:
            self._known[key] = self._read(archive.read(image))
        return self._known[key]

    def _read(self, data: bytes) -> float:
        try:
            self.layers.append(texture_layer(Image.open(io.BytesIO(data))))
        except OSError:  # damaged image: keep the model's plain colour
            return NO_TEXTURE
        return float(len(self.layers) - 1)


def texture_layer(image: Image.Image) -> np.ndarray:
    """Return uint8 [256, 256, 4] with the bottom row first, as OpenGL expects."""
    resized = image.convert('RGBA').resize((TEXTURE_SIZE, TEXTURE_SIZE), Image.Resampling.LANCZOS)
    return np.asarray(resized)[::-1]


def split_held_out(models: Sequence[Model], share_rare: bool = False) -> tuple[list[Model], list[Model]]:
    """Return (training models, held-out models): hold out a fifth of each class with >= 3 models.

    With `share_rare`, the models of rarer classes are in both. The choice depends only on each
    model's key, so adding another catalogue does not change it.
    """
    by_label: dict[str, list[Model]] = defaultdict(list)
    for model in models:
        by_label[model.label].append(model)
    kept, held_out = [], []
    for group in by_label.values():
        ordered = sorted(group, key=lambda model: zlib.crc32(model.key.encode()))
        share = max(1, len(group) // 5) if len(group) >= 3 else 0
        held_out += ordered[: share or (len(group) if share_rare else 0)]
        kept += ordered[share:]
    return kept, held_out
