# SPDX-License-Identifier: Apache-2.0
"""`lseg convert` leaves a whole file or none, and never touches what it reads."""

import pytest
from limited_disk import FULL, room

from lseg_ros import cli
from lseg_ros.model import load, save


@pytest.fixture
def weights(tiny_model, tmp_path):
    path = tmp_path / 'in' / 'tiny.safetensors'
    path.parent.mkdir()
    save(tiny_model, path)
    return path


def convert(*arguments):
    return cli.main(['convert', *map(str, arguments)])


def test_a_full_disk_leaves_no_half_file(weights, tmp_path, capsys):
    target = tmp_path / 'out' / 'small.safetensors'
    target.parent.mkdir()
    with room(100_000):
        assert convert(weights, target) == 1
    assert capsys.readouterr().err == f"lseg: error: {FULL}: '{target}'\n"
    assert not list(target.parent.iterdir())


def test_an_interrupted_write_leaves_no_half_file(weights, tmp_path, monkeypatch):
    def interrupted(_tensors, path, **_):
        path.write_bytes(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr('lseg_ros.model.checkpoint.save_file', interrupted)
    target = tmp_path / 'out' / 'small.safetensors'
    target.parent.mkdir()
    assert convert(weights, target) == 130
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize('name', ['tiny.safetensors', '../in/tiny.safetensors', 'link.safetensors'])
def test_its_own_input_is_not_overwritten(weights, capsys, name):
    content = weights.read_bytes()
    (weights.parent / 'link.safetensors').symlink_to(weights)
    assert convert(weights, weights.parent / name) == 2
    assert 'already exists' in capsys.readouterr().err
    assert weights.read_bytes() == content


def test_a_folder_that_is_missing_is_named(weights, tmp_path, capsys):
    target = tmp_path / 'nowhere' / 'small.safetensors'
    assert convert(weights, target) == 2
    error = capsys.readouterr().err
    assert str(target) in error and error.count('\n') == 1


@pytest.mark.slow
def test_half_precision_of_a_small_model_can_be_loaded(weights, tmp_path):
    target = tmp_path / 'half.safetensors'
    assert convert(weights, target, '--half') == 0
    assert load(target).config == load(weights).config
