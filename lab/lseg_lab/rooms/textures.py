# SPDX-License-Identifier: Apache-2.0
"""Collect all textures of a run in one array, sorted by use."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from lseg_lab.rooms import patterns
from lseg_lab.rooms.catalogue import texture_layer
from lseg_lab.rooms.streets import patterns as street_patterns

_DRAWN: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], int]] = {
    'wood': (patterns.wood, 80),
    'planks': (patterns.planks, 60),
    'parquet': (patterns.parquet, 8),
    'tiles': (patterns.tiles, 70),
    'brick': (patterns.brick, 6),
    'carpet': (patterns.carpet, 60),
    'stone': (patterns.stone, 44),
    'plaster': (patterns.plaster, 24),
    'wallpaper': (patterns.wallpaper, 30),
    'fabric': (patterns.fabric, 150),
    'picture': (patterns.picture, 170),
    'outdoors': (patterns.outdoors, 50),
    'paper': (patterns.paper, 12),
    'screen': (patterns.screen, 14),
    'metal': (patterns.metal, 6),
    'cardboard': (patterns.cardboard, 8),
}

# Stems of the image files in the packages robosuite and miniworld and in sweethome3d.jar, by use.
_FILES = {
    'wood': 'light-wood dark-wood gray-woodgrain red-wood blue-wood green-wood wood_1 wood_2',
    'planks': 'wood-tiles wood-varnished-panels wood_planks_1 oldWoodenFloor woodenFloor',
    'tiles': 'light-gray-floor-tile ceramic beigeTile blackAndWhiteTiles blueTiles darkBlueTile'
    ' greyTile redTiles stoneTiles floor_tiles_bw_1 floor_tiles_white concrete_tiles_1'
    ' lightBlueTile wallBeigeTile pavingStone',
    'brick': 'roughcast clay white-bricks smallBricks smallRedBricks smallWhiteBricks brick_wall_1'
    ' cinder_blocks_1 stone2Wall stone3Wall stoneWall',
    'carpet': 'gray-felt asphalt_1 concrete_2',
    'stone': 'marble_1 marble_2 marbleWall concrete_1 concrete_3 rock_1',
    'plaster': 'cream-plaster gray-plaster light-gray-plaster pink-plaster white-plaster'
    ' yellow-plaster drywall_1 stucco_1 concrete_4 white_1',
    'outdoors': 'blueSky cloudy veryCloudy boxTree',
    'metal': 'metal steel-brushed steel-scratched brass-ambra',
    'cardboard': 'cardboard_1 cardboard_2 cardboard_3 cardboard_4',
    'ceiling': 'ceiling_tile_noborder_1 ceiling_tiles_1',
}
_KIND_OF_FILE = {stem: kind for kind, stems in _FILES.items() for stem in stems.split()}


@dataclass(frozen=True, eq=False)
class Textures:
    """uint8 [N, 256, 256, 4], and the layers of each kind."""

    layers: np.ndarray
    kinds: dict[str, tuple[int, ...]]

    def pick(self, rng: np.random.Generator, *kinds: str) -> float:
        """Draw a layer of any of `kinds`."""
        choices = [layer for kind in kinds for layer in self.kinds.get(kind, ())]
        return float(choices[rng.integers(len(choices))])


def build_textures(
    model_textures: np.ndarray, paths: Sequence[Path], held_out: bool, *, outdoors: bool = False
) -> Textures:
    """Stack the models' own textures, image files and generated textures, in that order.

    Those of streets take seconds to generate: they come last, and only for a place `outdoors`.
    A fifth of the files and of the generated textures is reserved for `held_out` rooms, by name.
    """
    layers = list(model_textures)
    kinds: dict[str, list[int]] = defaultdict(list)
    for name, kind, load in (*_from_files(paths), *_drawn(outdoors)):
        if (zlib.crc32(name.encode()) % 5 == 0) == held_out:
            kinds[kind].append(len(layers))
            layers.append(load())
    return Textures(np.stack(layers), {kind: tuple(numbers) for kind, numbers in kinds.items()})


Entry = tuple[str, str, Callable[[], np.ndarray]]


def _drawn(outdoors: bool) -> Iterator[Entry]:
    for kind, (draw, count) in (*_DRAWN.items(), *(street_patterns.DRAWN.items() if outdoors else ())):
        for number in range(count):
            name = f'{kind}-{number}'
            yield name, kind, partial(_draw_layer, draw, zlib.crc32(name.encode()))


def _draw_layer(draw: Callable[[np.random.Generator], np.ndarray], seed: int) -> np.ndarray:
    return _as_layer(draw(np.random.default_rng(seed)))


def _as_layer(image: np.ndarray) -> np.ndarray:
    opaque = np.full((*image.shape[:2], 4), 255, np.uint8)
    opaque[..., : image.shape[2]] = np.round(image * 255)
    return opaque


@dataclass(frozen=True)
class TextureFile:
    """An image of known use: a file, or an entry of a jar or wheel."""

    stem: str
    kind: str
    source: Path  # the file, or the archive that holds it
    entry: str | None  # within the archive

    def load(self) -> np.ndarray:
        """Return the image as a texture layer."""
        data = self.source.read_bytes() if self.entry is None else zipfile.ZipFile(self.source).read(self.entry)
        return texture_layer(Image.open(io.BytesIO(data)))


def known_files(paths: Sequence[Path]) -> list[TextureFile]:
    """Return images of known use in files, folders, jars and wheels, one per name, sorted."""
    found: dict[str, TextureFile] = {}
    for path in paths:
        for file in sorted(path.rglob('*')) if path.is_dir() else [path]:
            for name, entry in _images_in(file):
                stem = Path(name).stem
                if Path(name).suffix in ('.png', '.jpg') and stem in _KIND_OF_FILE:
                    found.setdefault(stem, TextureFile(stem, _KIND_OF_FILE[stem], file, entry))
    return [found[stem] for stem in sorted(found)]


def _images_in(file: Path) -> Iterator[tuple[str, str | None]]:
    if file.suffix in ('.jar', '.whl'):
        for entry in zipfile.ZipFile(file).namelist():
            yield entry, entry
    else:
        yield file.name, None


def _from_files(paths: Sequence[Path]) -> Iterator[Entry]:
    for file in known_files(paths):
        yield file.stem, file.kind, file.load
