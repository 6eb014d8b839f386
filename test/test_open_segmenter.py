# SPDX-License-Identifier: Apache-2.0
"""Opening a segmenter: the fast backend by default, contradictory settings refused."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.query import ask, prepare_query
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import outline, save

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def ids(segmenter):
    prepared = segmenter.prepare(LabelRegistry().replace(['floor', 'wall', 'chair']))
    return segmenter.segment([IMAGE], prepared)[0].ids


def test_a_file_of_weights_is_run_like_the_loaded_model(tiny_model, tmp_path):
    save(tiny_model, tmp_path / 'tiny.safetensors')
    opened = open_segmenter(tmp_path / 'tiny.safetensors', device='cpu', backend='torch')
    assert opened.backend_name == 'torch'
    loaded = open_segmenter(opened.model, backend='eager')
    assert loaded.backend_name == 'eager' and loaded.model is opened.model
    assert (ids(opened) == ids(loaded)).mean() > 0.999


def test_paths_may_begin_with_the_home_folder_as_in_a_shell(weights, monkeypatch):
    """No shell expands those of a parameter file."""
    monkeypatch.setenv('HOME', str(weights.parent))
    with outline(f'~/{weights.name}') as (_, stored):
        assert stored.path == weights
    with pytest.raises(FileNotFoundError, match=f'text model {weights.parent}/nowhere is not a folder'):
        open_segmenter('lseg-lite', text_model='~/nowhere')


def test_the_backend_is_the_fastest_unless_one_is_named(tiny_model, monkeypatch):
    monkeypatch.setattr('lseg_ros.backends.find_spec', lambda name: None)
    assert open_segmenter(tiny_model).backend_name == 'torch'
    with pytest.raises(ValueError, match='pip install openvino'):
        open_segmenter(tiny_model, backend='openvino')


def test_input_size_is_the_short_side_that_the_network_is_given(tiny_model):
    small, whole = (open_segmenter(tiny_model, backend='eager', input_size=n) for n in (24, 0))
    assert small.embed(IMAGE).cells.shape[:2] == (6, 8)
    assert whole.embed(IMAGE).cells.shape[:2] == (12, 16)


def test_best_quality_compares_images_with_texts_but_has_no_embedding(tiny_model, monkeypatch):
    multiscale = pytest.importorskip('lseg_lab.evaluation.multiscale')
    best = open_segmenter(tiny_model, quality='best')
    assert best.backend_name == 'eager'
    evaluator = multiscale.MultiScaleEvaluator(tiny_model, 64, 64, (1.0, 1.5))
    monkeypatch.setattr(best, '_evaluator', evaluator)
    labels = LabelRegistry().replace(['floor'])
    (found,) = ask(best, IMAGE, prepare_query(best, ['cat'], labels))
    assert found.pixels.shape == IMAGE.shape[:2]
    assert found.pixels[found.peak_v, found.peak_u] == found.pixels.max()
    with pytest.raises(ValueError, match="quality 'fast'"):
        best.embed(IMAGE)


@pytest.mark.parametrize(
    'settings, reason',
    [
        ({'quality': 'better'}, "quality 'better': use one of fast, best"),
        ({'quality': 'best', 'backend': 'torch'}, 'omit backend'),
        ({'quality': 'best', 'input_size': 240}, 'omit .* input_size'),
        ({'precision': 'float16'}, 'keeps its device, precision'),
        ({'device': torch.device('cpu')}, 'keeps its device'),
        ({'backend': 'tensorrt'}, "backend 'tensorrt'"),
        ({'threads': -1}, '0 or more, not -1'),
    ],
)
def test_settings_that_do_not_fit_are_refused(tiny_model, settings, reason):
    with pytest.raises(ValueError, match=reason):
        open_segmenter(tiny_model, **settings)


def test_best_quality_without_the_lab_says_what_to_install(tiny_model, monkeypatch):
    monkeypatch.setattr('importlib.metadata.entry_points', lambda **_: ())
    with pytest.raises(ValueError, match=r'pip install ./lab'):
        open_segmenter(tiny_model, quality='best')


def test_best_quality_of_a_broken_lab_names_what_cannot_be_loaded(tiny_model, monkeypatch):
    entry = EntryPoint('best', 'lseg_lab.gone:open_best', 'lseg_ros.segmenters')
    monkeypatch.setattr('importlib.metadata.entry_points', lambda **_: (entry,))
    with pytest.raises(ValueError, match=r"'best' \(lseg_lab.gone:open_best\) cannot be loaded: No module"):
        open_segmenter(tiny_model, quality='best')
