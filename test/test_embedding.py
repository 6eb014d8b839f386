# SPDX-License-Identifier: Apache-2.0
"""Embeddings: those of the network, for each pixel, in memory-mappable files."""

import dataclasses
import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from lseg_ros import cli
from lseg_ros.backends import open_backend
from lseg_ros.core import embedding
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import LSegConfig, build, save

SIZE = (50, 77)  # no multiple of the stride


@pytest.fixture(scope='module')
def model():
    """Return a small network whose settings a test may change."""
    torch.manual_seed(0)
    return build(LSegConfig(width=16)).eval().requires_grad_(False)


@pytest.fixture(scope='module')
def picture():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


def reference(model, picture):
    """Return [H, W, D]: LSeg.embed of the picture, padded and cropped again."""
    mean, std = (np.array(value, np.float32) for value in (model.mean, model.std))
    pixels = torch.from_numpy((picture / np.float32(255) - mean) / std).permute(2, 0, 1)[None]
    bottom, right = (-side % model.stride for side in SIZE)
    padded = torch.nn.functional.pad(pixels, (0, right, 0, bottom))
    return model.embed(padded)[0, :, : SIZE[0], : SIZE[1]].permute(1, 2, 0)


@pytest.mark.parametrize('align_corners', [False, True])
def test_rows_are_those_of_the_network_with_the_padding_undone(model, picture, align_corners):
    model.config = dataclasses.replace(model.config, align_corners=align_corners)
    rows = SinglePassSegmenter(model).embed(picture).rows(0, SIZE[0])
    assert rows.shape == (*SIZE, model.text_encoder.dim)
    assert torch.allclose(rows, reference(model, picture), atol=1e-5)


def test_bands_are_the_rows_of_the_whole_image(model, picture, monkeypatch):
    found = SinglePassSegmenter(model).embed(picture)
    whole = found.rows(0, SIZE[0])
    monkeypatch.setattr(embedding, '_BAND_VALUES', 7 * SIZE[1] * whole.shape[2])
    bands = list(found.bands())
    assert [first for first, _ in bands] == list(range(0, 50, 7))
    assert torch.equal(torch.cat([rows for _, rows in bands]), whole)


def test_cells_lie_where_pixels_per_cell_says(model):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 40:] = 255
    found = SinglePassSegmenter(model, input_size=20).embed(picture)
    height, width = found.pixels_per_cell
    assert found.cells.shape[0] * height >= 40 and found.cells.shape[1] * width >= 60
    assert (found.cells.shape[0] - 1) * height < 40 and (found.cells.shape[1] - 1) * width < 60


def test_preview_has_the_size_of_the_image_and_tells_different_parts_apart(model):
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, 48:] = (200, 30, 90)
    preview = SinglePassSegmenter(model).embed(picture).preview().astype(int)
    assert preview.shape == (64, 96, 3)
    left, right = preview[20:40, 8:16].mean((0, 1)), preview[20:40, 80:88].mean((0, 1))
    assert np.abs(left - right).max() > 60


@pytest.fixture
def embed(model, picture, monkeypatch, tmp_path, capsys):
    """Return a function that runs ``lseg embed`` on a photo; gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    model.config = dataclasses.replace(model.config, align_corners=False)
    save(model, tmp_path / 'tiny.safetensors')
    Image.fromarray(picture).save(tmp_path / 'photo.png')

    def run(*arguments):
        status = cli.main(
            [
                'embed',
                '--model',
                'tiny.safetensors',
                '--device',
                'cpu',
                '--backend',
                'eager',
                '--output',
                'out',
                *arguments,
            ]
        )
        return (status, *capsys.readouterr())

    return run


def test_embed_writes_a_unit_vector_for_each_pixel(embed, tmp_path, model, picture):
    status, out, _ = embed('photo.png', '--pca')
    assert status == 0 and '1 of 1 images' in out
    values = np.load(tmp_path / 'out' / 'photo.npy', mmap_mode='r')
    assert values.dtype == np.float16
    assert np.allclose(values, reference(model, picture), atol=1e-3)
    assert Image.open(tmp_path / 'out' / 'photo.pca.png').size == SIZE[::-1]
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'photo.npy', 'photo.pca.png', 'embeddings.json'}


@pytest.mark.slow
def test_embed_on_the_grid_is_smaller_and_says_the_size_of_a_cell(embed, tmp_path, model, picture):
    assert embed('photo.png', '--resolution', 'grid')[0] == 0
    values = np.load(tmp_path / 'out' / 'photo.npy')
    table = json.loads((tmp_path / 'out' / 'embeddings.json').read_text())
    assert table['images']['photo']['image_size'] == list(SIZE)
    assert table['images']['photo']['pixels_per_cell'] == [4.0, 4.0]
    assert values.shape == (13, 20, model.text_encoder.dim)
    assert np.allclose(np.linalg.norm(values.astype(float), axis=2), 1, atol=2e-3)


@pytest.mark.slow
def test_embed_skips_what_is_no_image_and_takes_no_video(embed, tmp_path):
    (tmp_path / 'bad.png').write_text('hello')
    status, out, err = embed('photo.png', 'bad.png')
    assert status == 1 and '1 of 2' in out and 'lseg: skipped bad.png' in err
    (tmp_path / 'clip.mp4').write_bytes(b'')
    status, _, err = embed('clip.mp4')
    assert status == 2 and 'clip.mp4 cannot be used: expected image' in err


@pytest.mark.parametrize('backend', ['eager', 'torch'])
def test_embedding_of_a_segmentation_meets_encoded_prompts_at_the_cosine_of_the_model(model, picture, backend):
    segmenter = SinglePassSegmenter(model, backend=open_backend(backend, model))
    labels = segmenter.prepare(LabelRegistry().replace(['floor', 'door']))
    plain = segmenter.segment([picture], labels)[0]
    found = segmenter.segment([picture], labels, embed=True)[0]
    assert plain.embedding is None
    assert np.array_equal(found.ids, plain.ids)
    cosines = found.embedding.cells @ segmenter.encode_prompts(['sofa', 'exit sign']).T
    expected = segmenter.embed(picture).cells @ model.encode_text(['sofa', 'exit sign']).T
    torch.testing.assert_close(cosines, expected, atol=1e-5, rtol=0)
    assert found.embedding.id == segmenter.embedding_id
    assert f'-{found.embedding.cells.shape[2]}-' in segmenter.embedding_id


def test_embedding_id_depends_on_the_weights_and_not_on_their_precision(model):
    segmenter = SinglePassSegmenter(model)
    half = deepcopy(model).half()
    other = deepcopy(model)
    with torch.no_grad():
        next(other.decoder.parameters()).neg_()
    assert half.digest() == model.digest() != other.digest()
    assert segmenter.embedding_id == f'{model.name}-{model.text_encoder.dim}-{model.digest()}'


@pytest.mark.parametrize('align_corners', [False, True])
def test_lattice_says_where_the_cells_lie_in_the_image(model, picture, align_corners):
    model.config = dataclasses.replace(model.config, align_corners=align_corners)
    found = SinglePassSegmenter(model).embed(picture)
    down, across = found.lattice
    y, x = 3, 5
    row, column = down.first + y * down.step, across.first + x * across.step
    # The rows of the image around it, interpolated, give the vector of the cell.
    rows = found.rows(int(row), int(row) + 2)
    columns = rows[:, int(column) : int(column) + 2]
    at_column = torch.lerp(columns[:, 0], columns[:, 1], column % 1)
    vector = torch.lerp(at_column[0], at_column[1], row % 1)
    assert torch.cosine_similarity(vector, found.cells[y, x], dim=0) > 0.99


def test_thinned_cells_are_every_nth_with_their_places(model, picture):
    model.config = dataclasses.replace(model.config, align_corners=False)
    found = SinglePassSegmenter(model).embed(picture)
    cells, (down, across) = found.thinned(3)
    assert torch.equal(cells, found.cells[1::3, 1::3])
    assert (down.first, down.step) == (found.lattice[0].first + found.lattice[0].step, 3 * found.lattice[0].step)
    assert across.step == 3 * found.lattice[1].step
    assert found.thinned(64)[0].shape[:2] == (1, 1)
