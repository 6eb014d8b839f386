# SPDX-License-Identifier: Apache-2.0
"""Read a folder of 3-D models that its INDEX.tsv describes, with their textures and parts."""

from __future__ import annotations

import csv
import hashlib
import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tqdm import tqdm

from lseg_lab.rooms.catalogue import EMPTY, Catalogue, Model, cached, texture_layer
from lseg_lab.rooms.meshes import COLOUR, LAYER, NO_TEXTURE, Mesh, merge, simplified, transform, triangles
from lseg_lab.rooms.model_labels import LENGTHWISE, class_of_index

if TYPE_CHECKING:
    import trimesh

INDEX = 'INDEX.tsv'
INSTALL_READERS = 'pip install "trimesh>=5" pycollada'
_CUT_OUT = ('tree',)  # whose images are transparent between the leaves; elsewhere alpha means gloss
_COLUMNS = ('path', 'file', 'class', 'setting', 'kind', 'scale', 'texture_override', 'parts', 'licence', 'author')
_MAX_TRIANGLES = 8_000
_MAX_TRIANGLES_SMALL = 2_500  # of models below _SMALL metres: what they show never fills a picture
_SMALL = 0.4
_GREY = (160, 160, 160, 255)
_CREASE = 0.8  # cosine between face and vertex normal below which an edge is drawn sharp
_TO_Y_UP = np.array([(1, 0, 0, 0), (0, 0, 1, 0), (0, -1, 0, 0), (0, 0, 0, 1)], float)
# Models by the last part of their path. People who sit need a seat, and rows of books a shelf.
_LEFT_OUT = frozenset(
    'FemaleVisitorSit MaleVisitorSit VisitorKidSit aws_robomaker_retail_BookA_01 aws_robomaker_retail_BookC_01'.split()
)
_BACK_TO_FRONT = frozenset(
    'aws_robomaker_residential_SofaB_01 aws_robomaker_residential_SofaC_01 aws_robomaker_retail_BookshelfB_01'
    ' aws_robomaker_retail_Computer_01 aws_robomaker_retail_BookstoreLogo_01 suv pickup polaris_ranger_ev'
    ' polaris_ranger_xp900 fire_truck speed_limit_sign'.split()
)
# What hangs on a wall, and how high above the floor its lower edge is, metres.
_ELEVATIONS = {
    'air conditioner': 2.0,
    'picture': 1.35,
    'range hood': 1.5,
    'security camera': 2.2,
    'sign': 1.5,
    'television': 0.9,
    'wall lamp': 1.6,
    'wall shelf': 1.3,
    'window': 0.8,
}


def read_index(folder: Path) -> list[dict[str, str]]:
    """Return the lines of the folder's index; raise ValueError if a column is missing."""
    path = folder / INDEX
    if not path.is_file():
        raise FileNotFoundError(f'{folder} has no {INDEX}; fetch the models with lseg rooms FOLDER --fetch-models')
    with path.open(encoding='utf8') as file:
        rows = list(csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE))
    missing = [name for name in _COLUMNS if not rows or rows[0].get(name) is None]
    if missing:
        raise ValueError(f'{path} has no column {", ".join(missing)}, or no line')
    return rows


def load_model_folder(folder: Path) -> Catalogue:
    """Read all objects of known class, or the copy that an earlier call left in the user's cache.

    Raise ValueError if the packages that read models are not installed.
    """
    rows = read_index(folder)
    return cached('models', (folder / INDEX).read_bytes(), lambda: _read(folder, rows))


def _read(folder: Path, rows: Sequence[dict[str, str]]) -> Catalogue:
    logging.getLogger('trimesh').setLevel(logging.CRITICAL)  # it reports every bump map that is not there
    textures = _Layers()
    models = []
    for row in tqdm(rows, desc=f'Reading {folder.name}', unit='model'):
        label = class_of_index(row['class'])
        left_out = row['kind'] != 'object' or Path(row['path']).name in _LEFT_OUT
        if label is not None and not left_out:
            models.append(_model(folder, row, label, textures))
    layers = np.stack(textures.layers) if textures.layers else EMPTY.textures
    return Catalogue(tuple(models), layers)


def _model(folder: Path, row: dict[str, str], label: str, textures: _Layers) -> Model:
    parts = _parts(_scene(folder, row), row, label, textures)
    turn = _turn(parts, label, row['path'])
    turned = [(name, mesh.moved(transform(turn=turn))) for name, mesh in parts.items()]
    low, high = merge([mesh for _, mesh in turned]).bounds
    foot = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    placed = [(name, mesh.at(*-foot)) for name, mesh in turned]
    size = (high - low).astype(float)
    return Model(
        key=row['path'],
        name=row['class'],
        label=label,
        creator=row['author'],
        licence=row['licence'],
        size=size,
        elevation=_ELEVATIONS.get(label, 0.0) if size[1] < 1.8 else 0.0,
        top=float(size[1]),
        mesh=placed[0][1],
        others=tuple(placed[1:]),
        settings=tuple(row['setting'].split(',')),
    )


def _scene(folder: Path, row: dict[str, str]) -> trimesh.Scene:
    """Load the model's file in metres, z up, with the textures that only the index names."""
    try:
        import collada  # noqa: F401  (trimesh reads .dae files with it)
        import trimesh
        from trimesh.resolvers import FilePathResolver
        from trimesh.visual import TextureVisuals
        from trimesh.visual.material import PBRMaterial
    except ImportError as error:
        raise ValueError(f'{error.name} is not installed, which reads 3-D models: {INSTALL_READERS}') from error
    path = folder / row['path'] / row['file']
    scene = trimesh.load_scene(path, resolver=FilePathResolver(str(path), allow_anywhere=True))
    for pair in filter(None, row['texture_override'].split(';')):
        name, image = pair.rsplit('=', 1)
        material = PBRMaterial(baseColorTexture=Image.open(folder / row['path'] / image))
        for key, geometry in scene.geometry.items():
            uv = getattr(geometry.visual, 'uv', None)
            if name in ('*', key) and uv is not None:
                geometry.visual = TextureVisuals(uv=uv, material=material)
    scene.apply_scale(float(row['scale']))
    return scene


def _parts(scene: trimesh.Scene, row: dict[str, str], label: str, textures: _Layers) -> dict[str, Mesh]:
    """Return one mesh of each class in the model, that of the model itself first."""
    named = dict(pair.rsplit('=', 1) for pair in filter(None, row['parts'].split(';')))
    found: dict[str, list[Mesh]] = defaultdict(list, {label: []})
    for node in scene.graph.nodes_geometry:
        matrix, name = scene.graph[node]
        part = class_of_index(named.get(str(name), row['class'])) or label
        mesh = _mesh(scene.geometry[name], matrix, textures, label in _CUT_OUT)
        if mesh is not None:
            found[part].append(mesh)
    merged = {part: merge(meshes) for part, meshes in found.items() if meshes}
    extent = np.ptp([mesh.bounds for mesh in merged.values()], axis=(0, 1)).max()
    most = _MAX_TRIANGLES_SMALL if extent < _SMALL else _MAX_TRIANGLES
    return {part: simplified(mesh, most) for part, mesh in merged.items()}


def _mesh(geometry: trimesh.Trimesh, matrix: np.ndarray, textures: _Layers, cut_out: bool) -> Mesh | None:
    faces = np.asarray(geometry.faces)
    if not len(faces):
        return None
    points = np.asarray(geometry.vertices)[faces]
    flat = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    flat = np.repeat(_unit(flat)[:, None], 3, axis=1)
    smooth = np.asarray(geometry.vertex_normals)[faces]
    sharp = (flat * smooth).sum(axis=2, keepdims=True) < _CREASE
    normals = np.where(sharp, flat, smooth)
    uv = getattr(geometry.visual, 'uv', None)
    corners = np.zeros((*faces.shape, 2)) if uv is None else np.asarray(uv)[faces]
    mesh = triangles(points.reshape(-1, 3), normals.reshape(-1, 3), corners.reshape(-1, 2))
    colour, image = _appearance(geometry)
    mesh.vertices[:, COLOUR] = colour
    mesh.vertices[:, LAYER] = (
        NO_TEXTURE if image is None or uv is None else textures.layer(image if cut_out else image.convert('RGB'))
    )
    return mesh.moved(_TO_Y_UP @ matrix)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _appearance(geometry: trimesh.Trimesh) -> tuple[np.ndarray, Image.Image | None]:
    """Return the geometry's colour, [3] in 0..1, and the image on it, if there is one."""
    material = getattr(geometry.visual, 'material', geometry.visual)
    image = getattr(material, 'baseColorTexture', None) or getattr(material, 'image', None)
    if image is not None:
        return np.ones(3), image
    colour = np.asarray(getattr(material, 'main_color', _GREY), float)[:3]
    return np.clip(colour / 255, 0.03, 0.95), None


def _turn(parts: dict[str, Mesh], label: str, path: str) -> float:
    """Return the turn about y, radians, that brings the front to +z.

    The longer side of a model is its front, except for what is LENGTHWISE.
    """
    low, high = merge(list(parts.values())).bounds
    long_in_x = high[0] - low[0] > high[2] - low[2]
    turn = math.pi if Path(path).name in _BACK_TO_FRONT else 0.0
    return turn if long_in_x == (label not in LENGTHWISE) else turn + math.pi / 2


class _Layers:
    """Number the images of the models; equal images share a layer."""

    def __init__(self) -> None:
        self.layers: list[np.ndarray] = []
        self._known: dict[bytes, float] = {}

    def layer(self, image: Image.Image) -> float:
        """Return the layer of an image."""
        pixels = texture_layer(image)
        digest = hashlib.sha256(pixels.tobytes()).digest()
        if digest not in self._known:
            self._known[digest] = float(len(self.layers))
            self.layers.append(pixels)
        return self._known[digest]
