# SPDX-License-Identifier: Apache-2.0
"""Write data sets of rendered rooms: pictures, masks, depth and cameras."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from lseg_lab.rooms.assets import NO_ASSETS, Assets
from lseg_lab.rooms.building import Building
from lseg_lab.rooms.catalogue import EMPTY, joined, load_catalogues, split_held_out
from lseg_lab.rooms.model_folder import load_model_folder
from lseg_lab.rooms.model_labels import CLASSES, ROOM_CLASSES
from lseg_lab.rooms.places import random_place
from lseg_lab.rooms.renderer import Renderer, View
from lseg_lab.rooms.scene import Camera
from lseg_lab.rooms.textures import build_textures
from lseg_lab.rooms.viewpoints import is_worth_keeping, random_camera
from lseg_ros.whole_files import write_whole

SPLITS = ('train', 'test')
_TRIES_PER_VIEW = 3
_JPEG_QUALITY = 94
_INDOORS = frozenset({'home', 'office', 'shop', 'hospital', 'warehouse', 'industrial'})
_OUTDOORS = frozenset({'street', 'park', 'industrial'})
_SETTINGS = {'streets': _OUTDOORS, 'things': _INDOORS | _OUTDOORS}  # where a folder's models are used; else indoors


@dataclass(frozen=True)
class Settings:
    """Everything that determines the pixels of a data set; recorded in its dataset.json."""

    rooms: int
    seed: int
    split: str = 'train'
    kind: str = 'mixed'  # of place, one of places.KINDS
    size: tuple[int, int] = (384, 288)  # width, height
    views: int = 4  # maximum number of pictures of one room
    depth: bool = False
    supersampling: float = 1.5
    assets: Assets = NO_ASSETS


class Generator:
    """Renders rooms by number; room n of a seed is the same in every process and every run."""

    def __init__(self, settings: Settings) -> None:
        """Load the models and textures, and open the renderer."""
        self._settings = settings
        catalogue = load_catalogues(settings.assets.catalogues)
        folder = load_model_folder(settings.assets.models) if settings.assets.models else EMPTY
        both, count = joined(catalogue, folder), len(catalogue.models)
        held_out, used_in = settings.split == 'test', _SETTINGS.get(settings.kind, _INDOORS)
        furniture = split_held_out(both.models[:count])[held_out]
        found = [model for model in both.models[count:] if used_in & set(model.settings)]
        self._models = furniture + split_held_out(found, share_rare=True)[held_out]
        self._textures = build_textures(
            both.textures, settings.assets.textures, held_out, outdoors=used_in is not _INDOORS
        )
        self._renderer = Renderer(self._textures.layers, *settings.size, settings.supersampling)

    def room(self, number: int) -> list[tuple[Camera, View]]:
        """Render room `number`: up to `views` pictures, each with its camera."""
        settings = self._settings
        rng = np.random.default_rng((settings.seed, SPLITS.index(settings.split), number))
        building = random_place(settings.kind, rng, self._textures, self._models)
        return photographed(rng, building, self._renderer, settings.views)


def photographed(
    rng: np.random.Generator, building: Building, renderer: Renderer, most: int
) -> list[tuple[Camera, View]]:
    """Render up to `most` pictures of a building that are worth keeping, with their cameras."""
    kept: list[tuple[Camera, View]] = []
    with renderer.loaded(building.scene) as loaded:
        for _ in range(_TRIES_PER_VIEW * most):
            camera, spot = random_camera(rng, building, renderer.width / renderer.height)
            view = renderer.render(loaded, camera)
            if is_worth_keeping(view, spot):
                kept.append((camera, view))
            if len(kept) == most:
                break
    return kept


def generate(folder: Path, settings: Settings, processes: int) -> int:
    """Write the rooms that `folder` still lacks; return the number of pictures it then holds.

    Raise ValueError if `folder` holds a data set with other settings, OSError without EGL.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_description(folder, settings)
    todo = [number for number in range(settings.rooms) if not _done_mark(folder, number).exists()]
    context = multiprocessing.get_context('spawn')
    progress = tqdm(total=settings.rooms, initial=settings.rooms - len(todo), unit='room')
    if todo and processes == 1:
        _start_worker(folder, settings)
        for number in todo:
            _write_room(number)
            progress.update()
    elif todo:
        with context.Pool(processes, _start_worker, (folder, settings)) as pool:
            for _ in pool.imap_unordered(_write_room, todo):
                progress.update()
    progress.close()
    return len(list(folder.glob('*.mask.png')))


def _describe(settings: Settings) -> dict[str, Any]:
    """Return the content of dataset.json: the classes and the settings except local paths."""
    values = asdict(settings)
    del values['rooms'], values['assets']
    values['catalogues'] = sorted(path.name for path in settings.assets.catalogues)
    values['textures'] = sorted(path.name for path in settings.assets.textures)
    if settings.assets.models:
        values['models'] = settings.assets.models.name
    classes = CLASSES if settings.kind in _SETTINGS or settings.assets.models else ROOM_CLASSES
    return {'classes': list(classes), **values, 'size': list(settings.size)}


def _check_description(folder: Path, settings: Settings) -> None:
    path, wanted = folder / 'dataset.json', _describe(settings)
    if not path.exists():
        write_whole(path, json.dumps(wanted, indent=1))
        return
    present = json.loads(path.read_text())
    changed = sorted(key for key in wanted if present.get(key) != wanted[key])
    if changed:
        raise ValueError(
            f'{folder} holds a data set with a different {", ".join(changed)}; '
            'use the same settings to continue it, or choose another folder'
        )


def _done_mark(folder: Path, number: int) -> Path:
    """Return the path of the marker file written once all of a room's pictures are."""
    return folder / '.done' / f'{number:06d}'


_worker: tuple[Path, Settings, Generator] | None = None


def _start_worker(folder: Path, settings: Settings) -> None:
    """Create this process' renderer once, because its textures take seconds to load."""
    global _worker
    cv2.setNumThreads(1)
    _worker = (folder, settings, Generator(settings))
    (folder / '.done').mkdir(exist_ok=True)


def _write_room(number: int) -> None:
    assert _worker is not None, 'call _start_worker first'
    folder, settings, generator = _worker
    for index, (camera, view) in enumerate(generator.room(number)):
        write_view(folder / f'{number:06d}_{index}', camera, view, settings.depth)
    _done_mark(folder, number).touch()


def write_view(stem: Path, camera: Camera, view: View, depth: bool) -> None:
    """Write STEM.jpg, STEM.mask.png, STEM.json and optionally STEM.depth.png (millimetres)."""
    write_image(stem.with_suffix('.jpg'), cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR))
    write_image(stem.with_suffix('.mask.png'), view.mask)
    if depth:
        write_image(stem.with_suffix('.depth.png'), depth_millimetres(view.depth))
    height, width = view.mask.shape
    record = {'K': camera.intrinsics(width, height).tolist(), 'pose': camera.optical_pose().tolist()}
    write_whole(stem.with_suffix('.json'), json.dumps(record))


def depth_millimetres(depth: np.ndarray) -> np.ndarray:
    """Convert metres to uint16 millimetres; beyond 65.5 m the result is 0, unknown."""
    millimetres = np.round(depth * 1000)
    return np.where(millimetres < 65536, millimetres, 0).astype(np.uint16)


def write_image(path: Path, image: np.ndarray, quality: int = _JPEG_QUALITY) -> None:
    """Write a BGR or single-channel image; raise OSError if it cannot be written."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == '.jpg' else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    write_whole(path, cv2.imencode(path.suffix, image, options)[1].tobytes())


def default_processes() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))
