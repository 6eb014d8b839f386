# SPDX-License-Identifier: Apache-2.0
"""``lseg view``: what is in the file for the Rerun viewer, as its own library reads it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from bag_files import PERIOD_NS, START_NS, image, pictures, rgbd_topics, write_bag
from PIL import Image

from lseg_ros import cli

LABELS = ('--labels', 'floor, wall=wall|partition')


@pytest.fixture
def view(monkeypatch, tmp_path, cached_weights, capsys):
    """Return a function that runs the command in a folder of its own: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    model = ('--model', cached_weights, '--device', 'cpu', '--backend', 'eager')

    def run(*arguments):
        status = cli.main([str(each) for each in ('view', *arguments, *model, *LABELS)])
        return (status, *capsys.readouterr())

    return run


def rows_of(path):
    """Return the rows of a recording, one dictionary of columns each, by entity."""
    rows = {}
    for chunk in pytest.importorskip('rerun.chunk').RrdReader(path).stream():
        batch = chunk.to_record_batch()
        columns = {name: _values(batch[name]) for name in batch.schema.names}
        rows.setdefault(chunk.entity_path, []).extend(dict(zip(columns, row)) for row in zip(*columns.values()))
    return rows


def _values(array):
    """Return the values of a column; those of times as integers, in nanoseconds."""
    is_time = str(array.type).startswith(('timestamp', 'duration'))
    return (array.cast('int64') if is_time else array).to_pylist()


def column(rows, name):
    """Return the values of the only column whose name ends so, one for each row."""
    (key,) = {key for row in rows for key in row if key.endswith(name)}
    return [row[key] for row in rows if row.get(key) is not None]


@pytest.fixture
def needs_rerun():
    pytest.importorskip('rerun')


@pytest.mark.usefixtures('needs_rerun')
def test_bag_with_depth_becomes_images_ids_names_and_points(view, tmp_path):
    write_bag(tmp_path / 'drive', rgbd_topics(3))
    status, out, err = view('drive', '--points-stride', '2')
    assert status == 0, err
    assert 'drive.rrd: open it with: rerun drive.rrd' in out
    rows = rows_of(tmp_path / 'drive.rrd')

    ((names,),) = column(rows['/'], 'AnnotationContext:context')
    known = {each['class_id']: each['class_description']['info'] for each in names}
    assert [known[i]['label'] for i in (0, 1, 2, 255)] == ['other', 'floor', 'wall', 'unlabelled']

    assert sorted(column(rows['/camera/ids'], 'stamp')) == [START_NS + index * PERIOD_NS for index in range(3)]
    (buffer,) = column(rows['/camera/ids'], 'SegmentationImage:buffer')[0]
    assert len(buffer) == 40 * 60 and set(buffer) <= set(known)
    (jpeg,) = column(rows['/camera/image'], 'EncodedImage:blob')[0]
    assert bytes(jpeg[:2]) == b'\xff\xd8'

    ids = np.array(buffer, np.uint8).reshape(40, 60)
    places = np.array(column(rows['/points'], 'Points3D:positions')[0])
    classes = column(rows['/points'], 'Points3D:class_ids')[0]
    assert places.shape == (20 * 30, 3)
    assert places[:, 2] == pytest.approx(1.0)
    assert sorted(classes) == sorted(ids[::2, ::2].ravel().tolist())


@pytest.mark.slow
@pytest.mark.usefixtures('needs_rerun')
def test_bag_without_depth_and_folder_of_images_have_images_only(view, tmp_path):
    write_bag(tmp_path / 'plain', {'/image': [image(i, each) for i, each in enumerate(pictures(2))]})
    assert view('plain')[0] == 0
    (tmp_path / 'photos').mkdir()
    for number, pixels in enumerate(pictures(2)):
        Image.fromarray(pixels).save(tmp_path / 'photos' / f'{number}.png')
    status, _, err = view('photos', '--output', 'some.rrd')
    assert status == 0, err
    for name in ('plain', 'some'):
        rows = rows_of(tmp_path / f'{name}.rrd')
        assert len(rows['/camera/ids']) == 2 and '/points' not in rows


@pytest.mark.slow
@pytest.mark.usefixtures('needs_rerun')
def test_image_that_cannot_be_read_is_named_and_the_others_are_written(view, tmp_path):
    bad = image(1, pictures(1)[0], 'strange')
    write_bag(tmp_path / 'bag', {'/image': [image(0, pictures(1)[0]), bad]})
    status, _, err = view('bag')
    assert status == 1 and 'strange' in err
    assert len(rows_of(tmp_path / 'bag.rrd')['/camera/ids']) == 1


@pytest.mark.usefixtures('needs_rerun')
def test_file_that_cannot_be_written_is_an_error_in_one_line(view, tmp_path):
    Image.fromarray(pictures(1)[0]).save(tmp_path / 'photo.png')
    status, _, err = view('photo.png', '--output', 'nowhere/photo.rrd')
    assert status == 2 and 'nowhere' in err and len(err.splitlines()) == 1


def test_missing_package_is_named(view, tmp_path, monkeypatch):
    Image.fromarray(pictures(1)[0]).save(tmp_path / 'photo.png')
    monkeypatch.setitem(sys.modules, 'rerun', None)
    status, _, err = view('photo.png')
    assert status == 2
    assert 'lseg view needs rerun-sdk' in err and 'pip install rerun-sdk==' in err
    assert not (tmp_path / 'photo.rrd').exists()
