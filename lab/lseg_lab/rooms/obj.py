# SPDX-License-Identifier: Apache-2.0
"""Read Wavefront OBJ and MTL files inside zip archives into meshes."""

from __future__ import annotations

import itertools
import posixpath
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lseg_lab.rooms.meshes import COLOUR, LAYER, NO_TEXTURE, Mesh, triangles

_SEE_THROUGH_BELOW = 0.35  # materials less opaque than this are treated as glass and left out
_DEFAULT_COLOUR = (0.65, 0.63, 0.6)


class Archive:
    """A zip file with case-insensitive entry names, as files of OBJ exporters require."""

    def __init__(self, path: str) -> None:
        """Open the zip file at `path`."""
        self.path = path
        self._zip = zipfile.ZipFile(path)
        self._names = {name.lower(): name for name in self._zip.namelist()}

    def find(self, *parts: str) -> str | None:
        """Return the real name of the entry at the joined path, or None."""
        return self._names.get(posixpath.normpath(posixpath.join(*parts)).lstrip('/').lower())

    def read(self, name: str) -> bytes:
        """Return the bytes of an entry found by `find`."""
        return self._zip.read(name)

    def lines(self, name: str) -> list[list[str]]:
        """Return the entry's non-empty lines, continuations joined, split at white space."""
        text = self._zip.read(name).decode('latin1').replace('\\\n', ' ')
        return [words for words in map(str.split, text.splitlines()) if words]


@dataclass
class _Material:
    colour: tuple[float, ...] = _DEFAULT_COLOUR
    opacity: float = 1.0
    layer: float = NO_TEXTURE


@dataclass
class _Geometry:
    positions: list[list[float]] = field(default_factory=list)
    uvs: list[list[float]] = field(default_factory=list)
    normals: list[list[float]] = field(default_factory=list)
    faces: list[tuple[tuple[int, int, int], ...]] = field(default_factory=list)
    face_materials: list[str] = field(default_factory=list)


def read_obj(archive: Archive, name: str, load_texture: Callable[[str], float]) -> Mesh | None:
    """Read OBJ entry `name` into a mesh; return None if it has no faces.

    `load_texture` maps an image entry's name to a texture layer (NO_TEXTURE if it is unreadable).
    """
    geometry, materials = _Geometry(), {}
    material = ''
    for words in archive.lines(name):
        keyword = words[0]
        if keyword == 'mtllib':
            library = archive.find(posixpath.dirname(name), ' '.join(words[1:]))
            if library:
                materials.update(_read_mtl(archive, library, load_texture))
        elif keyword == 'usemtl':
            material = ' '.join(words[1:])
        else:
            _add_line(geometry, words, material)
    return _build(geometry, materials) if geometry.faces else None


def _add_line(geometry: _Geometry, words: list[str], material: str) -> None:
    keyword = words[0]
    if keyword == 'v':
        geometry.positions.append([float(word) for word in words[1:4]])
    elif keyword == 'vt':
        geometry.uvs.append([float(word) for word in [*words, '0'][1:3]])
    elif keyword == 'vn':
        geometry.normals.append([float(word) for word in words[1:4]])
    elif keyword == 'f':
        corners = [_corner(word, geometry) for word in words[1:]]
        for second, third in itertools.pairwise(corners[1:]):
            geometry.faces.append((corners[0], second, third))
            geometry.face_materials.append(material)


def _corner(word: str, geometry: _Geometry) -> tuple[int, int, int]:
    """Return zero-based (position, uv, normal) of a corner such as 3/7/2 or -1//; -1 if absent."""
    lengths = (len(geometry.positions), len(geometry.uvs), len(geometry.normals))
    fields = [*word.split('/'), '', ''][:3]
    numbers = [int(text) if text else 0 for text in fields]
    position, uv, normal = (number - 1 if number >= 0 else length + number for number, length in zip(numbers, lengths))
    return position, uv, normal


def _read_mtl(archive: Archive, name: str, load_texture: Callable[[str], float]) -> dict[str, _Material]:
    materials: dict[str, _Material] = {}
    current = _Material()
    for words in archive.lines(name):
        keyword = words[0]
        if keyword == 'newmtl':
            current = materials.setdefault(' '.join(words[1:]), _Material())
        elif keyword == 'Kd' and len(words) >= 4:
            current.colour = tuple(float(word) for word in words[1:4])
        elif keyword == 'd':
            current.opacity = float(words[-1])
        elif keyword == 'map_Kd':
            folder = posixpath.dirname(name)
            image = archive.find(folder, ' '.join(words[1:])) or archive.find(folder, words[-1])
            current.layer = load_texture(image) if image else NO_TEXTURE
    return materials


def _build(geometry: _Geometry, materials: dict[str, _Material]) -> Mesh:
    default = _Material()
    used = [materials.get(name, default) for name in geometry.face_materials]
    opaque = np.array([material.opacity > _SEE_THROUGH_BELOW for material in used])
    if opaque.mean() < 0.3:
        opaque[:] = True
    corners = np.array(geometry.faces, np.int64)[opaque]
    points = np.array(geometry.positions, np.float32)[corners[..., 0]]
    normals = _gather(geometry.normals, corners[..., 2], _face_normals(points))
    uv = _gather(geometry.uvs, corners[..., 1], np.zeros((*points.shape[:2], 2), np.float32))
    mesh = triangles(points.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2))
    kept = [material for material, keep in zip(used, opaque) if keep]
    mesh.vertices[:, COLOUR] = np.repeat([_colour(material) for material in kept], 3, axis=0)
    mesh.vertices[:, LAYER] = np.repeat([material.layer for material in kept], 3)
    return mesh


def _face_normals(points: np.ndarray) -> np.ndarray:
    normal = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return np.repeat(normal[:, None], 3, axis=1)


def _gather(values: list[list[float]], index: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return values[index] where the index is valid, `missing` elsewhere."""
    if not values:
        return missing
    present = (index >= 0) & (index < len(values))
    found = np.array(values, np.float32)[np.where(present, index, 0)]
    return np.where(present[..., None], found, missing)


def _colour(material: _Material) -> tuple[float, ...]:
    """Return the material's colour; brighten a near-black one that would hide its texture."""
    if material.layer != NO_TEXTURE and max(material.colour) < 0.3:
        return (0.9, 0.9, 0.9)
    return material.colour
