# SPDX-License-Identifier: Apache-2.0
"""Folders of 3-D models: reading them, downloading them, and the places that show them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lseg_lab.rooms import model_download
from lseg_lab.rooms.catalogue import EMPTY, Catalogue, Model, joined, split_held_out
from lseg_lab.rooms.meshes import LAYER, NO_TEXTURE, box
from lseg_lab.rooms.model_download import ModelFile, downloadable, fetch_models, model_files
from lseg_lab.rooms.model_folder import load_model_folder
from lseg_lab.rooms.model_labels import CLASSES, MODELLED, class_of_index
from lseg_lab.rooms.places import random_place
from lseg_lab.rooms.streets import patterns
from lseg_lab.rooms.textures import Textures
from lseg_lab.training.vocabulary import load_vocabulary

_TEXTURES = (
    'wood planks parquet tiles brick carpet stone plaster wallpaper fabric picture outdoors paper'
    ' screen metal cardboard'
).split()
GREY = Textures(np.full((1, 1, 1, 4), 128, np.uint8), dict.fromkeys((*_TEXTURES, *patterns.DRAWN), (0,)))

# A box of 40 x 90 x 20 units, z up, that stands 5 units above the ground.
CORNERS = [(x, y, z) for x in (0, 40) for y in (0, 90) for z in (5, 25)]
FACES = '1 2 4 3, 5 7 8 6, 1 5 6 2, 3 4 8 7, 1 3 7 5, 2 6 8 4'.split(', ')
COLUMNS = 'path file class setting kind scale texture_override parts licence author'.split()


def write_model(folder: Path, path: str, **columns: str) -> None:
    """Add a box with a transparent picture on it to the folder and its index."""
    lines = ['mtllib box.mtl', *(f'v {x} {y} {z}' for x, y, z in CORNERS)]
    lines += ['vt 0 0', 'vt 1 0', 'vt 1 1', 'vt 0 1', 'usemtl paint']
    lines += ['f ' + ' '.join(f'{corner}/{at + 1}' for at, corner in enumerate(face.split())) for face in FACES]
    (folder / path).mkdir(parents=True)
    (folder / path / 'box.obj').write_text('\n'.join(lines))
    (folder / path / 'box.mtl').write_text('newmtl paint\nKd 1 1 1\nmap_Kd paint.png\n')
    Image.new('RGBA', (8, 8), (200, 30, 30, 0)).save(folder / path / 'paint.png')
    values = {'path': path, 'file': 'box.obj', 'kind': 'object', 'scale': '0.01', 'licence': 'CC0-1.0', **columns}
    with (folder / 'INDEX.tsv').open('a') as index:
        index.write('\t'.join(values.get(column, '') for column in COLUMNS) + '\n')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two models and a room, and an empty cache."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    models = tmp_path / 'models'
    models.mkdir()
    (models / 'INDEX.tsv').write_text('\t'.join(COLUMNS) + '\n')
    write_model(models, 'a/tote', **{'class': 'plastic crate', 'setting': 'warehouse,industrial', 'author': 'Somebody'})
    write_model(models, 'a/ambulance', **{'class': 'ambulance', 'setting': 'street'})
    write_model(models, 'a/hall', **{'class': 'wall', 'setting': 'warehouse', 'kind': 'environment'})
    return models


def test_models_stand_on_the_floor_in_metres_with_their_front_ahead(folder: Path) -> None:
    pytest.importorskip('trimesh')
    pytest.importorskip('collada')
    for _ in range(2):  # read, then from the cache
        crate, ambulance = load_model_folder(folder).models
        assert (crate.label, crate.creator, crate.licence) == ('plastic crate', 'Somebody', 'CC0-1.0')
        assert crate.settings == ('warehouse', 'industrial')
        low, high = crate.mesh.bounds
        np.testing.assert_allclose([low, high], [[-0.45, 0, -0.2], [0.45, 0.2, 0.2]], atol=1e-6)
        np.testing.assert_allclose(ambulance.size, [0.4, 0.2, 0.9], atol=1e-6)  # its length is ahead


def test_models_keep_their_pictures_and_not_their_transparency(folder: Path) -> None:
    pytest.importorskip('trimesh')
    pytest.importorskip('collada')
    found = load_model_folder(folder)
    assert found.textures.shape == (1, 256, 256, 4)  # both models show the same
    assert (found.textures[0, 0, 0] == (200, 30, 30, 255)).all()
    assert all((model.mesh.vertices[:, LAYER] == 0).all() for model in found.models)


def test_unreadable_folders_say_what_to_do(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match='--fetch-models'):
        load_model_folder(tmp_path)
    (tmp_path / 'INDEX.tsv').write_text('path\tfile\n')
    with pytest.raises(ValueError, match='no column'):
        load_model_folder(tmp_path)
    monkeypatch.setitem(sys.modules, 'trimesh', None)
    monkeypatch.setitem(sys.modules, 'collada', None)
    with pytest.raises(ValueError, match='pip install'):
        load_model_folder(folder)


def model(label: str, *settings: str, size: tuple[float, float, float] = (0.6, 0.7, 0.5)) -> Model:
    mesh = box(*size).textured(0.0)
    return Model(f'a/{label}', label, label, '', 'CC0-1.0', np.array(size), 0.0, size[1], mesh, settings=settings)


def test_joined_catalogues_keep_their_own_textures() -> None:
    page = np.zeros((1, 256, 256, 4), np.uint8)
    plain = model('crate')
    plain.mesh.vertices[:, LAYER] = NO_TEXTURE
    both = joined(Catalogue((model('bed'),), page), Catalogue((model('robot'), plain), page + 9))
    layers = [float(each.mesh.vertices[0, LAYER]) for each in both.models]
    assert layers == [0.0, 1.0, NO_TEXTURE] and len(both.textures) == 2
    assert joined(both, EMPTY) is both


def test_models_of_rare_classes_are_in_both_splits() -> None:
    models = [model('robot'), *(model('car') for _ in range(5))]
    kept, held_out = split_held_out(models, share_rare=True)
    assert models[0] in kept and models[0] in held_out
    assert len(kept) == 5 and len(held_out) == 2


@pytest.mark.slow
def test_a_workplace_shows_the_models_of_its_setting() -> None:
    settings = ('warehouse', 'industrial', 'hospital', 'shop', 'office', 'home')
    models = [model('robot', *settings), model('pallet', *settings), model('apple', *settings, size=(0.1, 0.1, 0.1))]
    seen: set[str] = set()
    for seed in range(4):
        building = random_place('places', np.random.default_rng(seed), GREY, models)
        low = [item.mesh.moved(item.matrix).bounds[0][1] for item in building.scene.items if item.label == 'robot']
        assert all(foot == pytest.approx(0, abs=1e-5) for foot in low)
        seen |= {item.label for item in building.scene.items}
    assert {'floor', 'wall', 'ceiling', 'robot', 'pallet', 'apple'} <= seen


def test_a_workplace_without_models_says_what_to_do() -> None:
    with pytest.raises(ValueError, match='--models'):
        random_place('places', np.random.default_rng(0), GREY, ())


@pytest.mark.slow
def test_streets_show_models_on_the_ground() -> None:
    models = [
        model('car', 'street', size=(1.8, 1.5, 4.2)),
        model('building', 'street', size=(12, 8, 9)),
        model('stop sign', 'street', size=(0.7, 2.2, 0.1)),
    ]
    mine = {id(each.mesh) for each in models}
    seen: set[str] = set()
    for seed in range(3):
        building = random_place('streets', np.random.default_rng(seed), GREY, models)
        for item in building.scene.items:
            if id(item.mesh) in mine:
                seen.add(item.label)
                assert -0.1 < item.mesh.moved(item.matrix).bounds[0][1] < 0.2
    assert seen == {each.label for each in models}


@pytest.mark.slow
def test_places_with_things_show_rare_classes_as_often_as_common_ones_and_look_at_both() -> None:
    chairs = [model(f'{wood} chair', 'office') for wood in ('oak', 'teak', 'birch', 'beech')]
    models = [
        *(replace(chair, label='office chair') for chair in chairs),
        model('robot', 'warehouse'),
        model('car', 'street'),
    ]
    shown, looked_at = Counter[str](), Counter[str]()
    for seed in range(30):
        building = random_place('things', np.random.default_rng(seed), GREY, models)
        shown.update({item.label for item in building.scene.items})
        looked_at.update({name for spot in building.spots for name in spot.subject})
        assert all(0.1 < spot.eye[0, 1] <= 1.9 for spot in building.spots)
    assert 0.5 < shown['robot'] / shown['office chair'] < 2
    assert min(looked_at[label] for label in ('robot', 'office chair', 'car')) > 2


def test_every_class_of_models_is_in_the_vocabulary_and_the_masks() -> None:
    concepts = load_vocabulary().concepts
    assert set(MODELLED) <= set(concepts) and len(CLASSES) < 255
    assert all(class_of_index(row['class']) for row in downloadable())


def test_every_downloadable_model_has_its_file() -> None:
    files = {each.file for each in model_files()}
    assert all(f'{row["path"]}/{row["file"]}' in files for row in downloadable())
    assert all(re.fullmatch(r'[\w.-]+/[\w.-]+/[0-9a-f]{40}/.+', each.address) for each in model_files())


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the output of the tests short."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with one model of a repository."""
    content = tmp_path / 'site' / 'owner' / 'name' / 'commit'
    content.mkdir(parents=True)
    (content / 'box.mtl').write_text('newmtl paint\nmap_Kd model://far/away/paint.png\n')
    (content / 'box.dae').write_text('<mesh><!-- one\ntwo --></mesh>')
    monkeypatch.setattr(model_download, 'SOURCES', {'a': 'owner/name/commit'})
    handler = functools.partial(_Quiet, directory=str(tmp_path / 'site'))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{opened.server_port}'
        opened.shutdown()


def test_a_download_mends_files_and_ends_with_the_index(server: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b'<mesh><!-- one\ntwo --></mesh>').hexdigest()
    files = [ModelFile('a/box/box.mtl', 'box.mtl', ''), ModelFile('a/box/box.dae', 'box.dae', digest)]
    fetch_models(tmp_path / 'out', files, server)
    assert (tmp_path / 'out/a/box/box.mtl').read_text().endswith('map_Kd paint.png\n')
    assert (tmp_path / 'out/a/box/box.dae').read_text() == '<mesh></mesh>'
    assert (tmp_path / 'out/INDEX.tsv').read_text().startswith('path\tfile\tclass')


def test_a_download_that_stops_can_be_continued(server: str, tmp_path: Path) -> None:
    good, lost = ModelFile('a/box.mtl', 'box.mtl', ''), ModelFile('a/lost.dae', 'lost.dae', '')
    with pytest.raises(OSError, match=r'lost\.dae.*404.*same command'):
        fetch_models(tmp_path / 'out', [good, lost], server)
    assert not (tmp_path / 'out/INDEX.tsv').exists()
    fetch_models(tmp_path / 'out', [good], 'http://127.0.0.1:1')  # it is there already
    with pytest.raises(ValueError, match='not the file that it was'):
        fetch_models(tmp_path / 'other', [ModelFile('a/box.mtl', 'box.mtl', '0' * 64)], server)
