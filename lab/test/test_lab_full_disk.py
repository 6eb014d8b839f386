# SPDX-License-Identifier: Apache-2.0
"""The lab on a full disk: each file is whole or absent, and the error names the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from limited_disk import FULL, room

from lseg_lab.annotation.labelme import Annotation, Shape, write_annotation
from lseg_lab.annotation.show import draw_annotations
from lseg_lab.rooms.generate import write_image
from lseg_ros import cli
from lseg_ros.sharing.tally import Tally
from lseg_ros.whole_files import append_whole

NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
SQUARE = np.array([[0, 0], [40, 0], [40, 30], [0, 30]])


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with a LabelMe file and a folder with its photograph."""
    labels, photos = tmp_path / 'labels', tmp_path / 'photos'
    labels.mkdir()
    photos.mkdir()
    write_annotation(labels / 'a.json', Annotation('a.jpg', 48, 64, (Shape('floor', SQUARE),)))
    write_image(photos / 'a.jpg', NOISE)
    return labels, photos


def test_annotate_masks(labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with room(50):
        status = cli.main(['annotate', 'masks', *map(str, labelled), str(tmp_path / 'out')])
    assert status == 1
    assert capsys.readouterr().err == f"lseg: error: {FULL}: '{tmp_path / 'out' / 'a.jpg'}'\n"
    assert not list((tmp_path / 'out').iterdir())


def test_pictures_of_annotations(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    with room(500), pytest.raises(OSError, match=r'File too large.*a\.png'):
        draw_annotations(*labelled, tmp_path / 'out')
    assert not list((tmp_path / 'out').iterdir())


def test_annotation_of_a_user_is_not_lost(labelled: tuple[Path, Path]) -> None:
    path = labelled[0] / 'a.json'
    before = path.read_bytes()
    with room(10), pytest.raises(OSError, match=r'File too large.*a\.json'):
        write_annotation(path, Annotation('a.jpg', 48, 64, ()))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('name', ['a.jpg', 'a.mask.png'])
def test_picture_of_a_room(tmp_path: Path, name: str) -> None:
    with room(500), pytest.raises(OSError, match=f'File too large.*{name}'):
        write_image(tmp_path / name, NOISE)
    assert not list(tmp_path.iterdir())


def test_state_of_an_evaluation(tmp_path: Path) -> None:
    tally = Tally.empty({'model': 'a'}, 4, (3,))
    tally.save(tmp_path / 'part.0.npz')
    before = (tmp_path / 'part.0.npz').read_bytes()
    with room(100), pytest.raises(OSError, match='File too large'):
        tally.save(tmp_path / 'part.0.npz')
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_log_of_a_training(tmp_path: Path) -> None:
    path = tmp_path / 'log.jsonl'
    append_whole(path, json.dumps({'step': 1}) + '\n')
    before = path.read_text()
    with room(len(before) + 5), pytest.raises(OSError, match='File too large'):
        append_whole(path, json.dumps({'step': 2}) + '\n')
    assert path.read_text() == before
