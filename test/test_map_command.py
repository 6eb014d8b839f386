# SPDX-License-Identifier: Apache-2.0
"""``lseg map``: bags become maps that are asked in words, and what is wrong is said in one line."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bag_files import camera_info, cut, image
from map_bag import CAMERA, MOUNT, drive_bag, drive_topics, tf
from map_scene import SIZE_M, seen, wall_ahead
from PIL import Image

from lseg_ros import cli
from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping.map_builder import MapBuilder
from lseg_ros.mapping.map_files import read_map, write_map
from lseg_ros.mapping.vote_map import VoteMap
from lseg_ros.mapping.voxel_map import MapSettings

SOFA = np.array([[2.2, -0.1], [5.0, 2.2]])  # its corners in the flat: x and y
COLOR, DEPTH, INFO = '/camera/image_raw', '/camera/depth', '/camera/camera_info'


@pytest.fixture
def lseg(monkeypatch, tmp_path, capsys):
    """Return a function that runs a command in a folder of its own: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def tiny(lseg, cached_weights):
    """Return a function that runs ``lseg map`` with a small network that knows nothing."""
    return lambda *arguments: lseg(
        'map', '--model', cached_weights, '--device', 'cpu', '--backend', 'eager', *arguments
    )


@pytest.mark.slow
def test_bag_becomes_a_map_that_is_asked_without_ros(lseg, tmp_path):
    drive_bag(tmp_path / 'drive', storage='mcap')
    status, out, err = lseg('map', 'drive', '--ask', 'sofa', 'tractor')
    assert status == 0, err
    assert 'voxels from 5 of 5 images' in out and 'not used' not in out
    voxels, facts = read_map(tmp_path / 'drive.safetensors')
    assert facts.frame == 'map' and facts.model.startswith('lseg-lite-') and len(voxels) > 1000
    lowest = voxels.cells[:, 2].min() * facts.voxel_size
    assert abs(lowest) <= 0.1  # the floor of the flat lies at zero
    sofa, tractor = (line for line in out.splitlines() if 'sofa' in line or 'tractor' in line)
    number, name, score, x, y, *_ = sofa.split()
    assert (number, name) == ('1', 'sofa') and float(score) >= 0.6
    assert (SOFA[0] < (float(x), float(y))).all() and (SOFA[1] > (float(x), float(y))).all()
    assert tractor.split() == ['tractor', 'not', 'found']
    assert min(Image.open(tmp_path / 'drive.png').size) > 300

    again = lseg('map', 'drive.safetensors', '--ask', 'sofa', '--picture', 'other.png')
    assert again[0] == 0 and sofa.split() in [line.split() for line in again[1].splitlines()]
    assert (tmp_path / 'other.png').is_file()


def test_map_without_a_question_is_described_and_drawn(tiny, tmp_path):
    drive_bag(tmp_path / 'drive')
    status, out, _ = tiny('drive', '--output', 'flat.safetensors', '--voxel-size', '0.2')
    assert status == 0 and 'voxels of 0.2 m in frame map' in out
    assert {path.name for path in tmp_path.iterdir()} == {'drive', 'flat.safetensors', 'flat.png'}
    assert 'already exists' in tiny('drive', '--output', 'flat.safetensors')[2]


def test_images_without_a_transform_are_counted_and_left_out(tiny, tmp_path):
    late = drive_topics()['/tf'][2:]
    broken = tf('map', 'base', np.full((4, 4), np.nan), 0)
    drive_bag(tmp_path / 'drive', {'/tf': [*late, broken]})
    status, out, _ = tiny('drive')
    assert status == 0 and 'voxels from 3 of 5 images' in out
    assert 'not used: 2 x no transform of frame base around the time of the image' in out


def test_image_that_cannot_be_used_does_not_stop_the_others(tiny, tmp_path):
    topics = drive_topics()
    pictures, depths = [*topics[COLOR]], [*topics[DEPTH]]
    pictures[1] = image(1, np.zeros((240, 424, 3), np.uint8), data=np.zeros(7, np.uint8))
    depths[2] = image(2, np.ones((48, 64), np.uint16), '16UC1')
    depths[3] = image(9, np.ones((240, 424), np.uint16), '16UC1')
    drive_bag(tmp_path / 'drive', {COLOR: pictures, DEPTH: depths})
    status, out, _ = tiny('drive')
    assert status == 0 and 'voxels from 2 of 5 images' in out
    for reason in ('image data end early', 'depth has 64 x 48 pixels', 'no depth of the time of the image'):
        assert f'1 x {reason}' in out


def test_damaged_part_of_a_bag_is_told_and_the_rest_is_mapped(tiny, tmp_path):
    bag = drive_bag(tmp_path / 'drive', storage='mcap')
    (bag / 'metadata.yaml').unlink()
    (bag / 'z.mcap').write_bytes((bag / 'drive.mcap').read_bytes()[:9000])
    status, out, err = tiny('drive')
    assert status == 1 and 'voxels from 5 of 5 images' in out
    assert err.splitlines()[-1].startswith('lseg: drive: z.mcap is damaged, or cut short: ')


def test_bag_whose_end_is_missing_is_mapped_up_to_there(tiny, tmp_path):
    bag = drive_bag(tmp_path / 'drive', storage='mcap')
    cut(bag / 'drive.mcap', 0.6)
    status, out, err = tiny('drive')
    assert status == 1 and 'voxels from 2 of ' in out
    reason = r'lseg: drive: drive.mcap is damaged, or cut short: \d+ of its \d+ bytes can be read'
    assert re.fullmatch(reason, err.splitlines()[-1])


def test_interrupted_map_is_saved_as_far_as_it_has_come(tiny, tmp_path, monkeypatch, ctrl_c):
    def add_and_interrupt(builder, frame):
        add(builder, frame)
        if builder.integrated == 2:
            signal.raise_signal(signal.SIGINT)

    add = MapBuilder.add
    monkeypatch.setattr(MapBuilder, 'add', add_and_interrupt)
    drive_bag(tmp_path / 'drive')
    status, out, err = tiny('drive')
    assert status == 130 and 'drive.safetensors: ' in out and 'voxels from 2 of 5 images' in out
    assert err.splitlines()[-1] == 'lseg: interrupted'
    assert len(read_map(tmp_path / 'drive.safetensors')[0]) > 1000
    assert signal.getsignal(signal.SIGINT) is ctrl_c


def test_bag_that_is_cut_short_is_named(tiny, tmp_path):
    bag = drive_bag(tmp_path / 'drive')
    (bag / 'drive.db3').write_bytes((bag / 'drive.db3').read_bytes()[:9000])
    status, _, err = tiny('drive')
    assert status == 2 and 'drive: not a readable bag, or cut short: ' in err


@pytest.mark.parametrize('listed', [True, False])
def test_every_camera_that_is_named_is_mapped(tiny, tmp_path, listed):
    topics = drive_topics()
    left = {topic.replace('/camera/', '/left/'): topics[topic] for topic in (COLOR, DEPTH, INFO)}
    drive_bag(tmp_path / 'drive', left)
    assert 'several topics have depth' in tiny('drive', '--topic', COLOR)[2]
    colors, depths = (COLOR, '/left/image_raw'), (DEPTH, '/left/depth')
    if listed:
        options = ['--topic', *colors, '--depth', *depths]
    else:
        options = [each for pair in zip(colors, depths) for each in ('--topic', pair[0], '--depth', pair[1])]
    status, out, _ = tiny('drive', *options)
    assert status == 0 and 'voxels from 10 of 10 images' in out


@pytest.mark.parametrize(
    'changes, options, reason',
    [
        ({'/tf': [], '/tf_static': []}, (), 'no transforms: the bag needs the topics /tf'),
        ({}, ('--map-frame', 'world'), f'no transforms of the frame world: choose with --map-frame, of base, {CAMERA}'),
        ({'/tf_static': []}, (), f'none of 5 images could be used: 5 x no transform leads from frame {CAMERA} to map'),
        ({'/tf_static': [tf('odom', CAMERA, MOUNT, 0)]}, (), f'no transform leads from frame {CAMERA} to map'),
        ({DEPTH: []}, (), 'no topic has depth aligned to /camera/image_raw (424 x 240 in frame'),
        ({DEPTH: [image(0, np.ones((48, 64), np.uint16), '16UC1')]}, (), 'there is /camera/depth (64 x 48 in frame'),
        ({INFO: []}, (), 'no topic is the camera_info of /camera/image_raw; there is none at all'),
        (
            {INFO: [camera_info(0, 320, 240)]},
            (),
            '5 x camera_info is for 320 x 240 pixels, but the image has 424 x 240',
        ),
        ({'/second': [image(0, np.zeros((48, 64, 3), np.uint8))]}, (), 'several image topics, choose one'),
        ({COLOR: []}, (), 'no image topic'),
        (
            {COLOR: [image(0, np.zeros((9, 9), np.uint8), 'odd')]},
            (),
            'no readable image on /camera/image_raw: unknown image',
        ),
        ({}, ('--topic', '/nowhere'), 'no image topic /nowhere'),
        ({}, ('--depth', '/a', '--depth', '/b'), '--depth names 2 topics for 1 cameras'),
    ],
)
def test_bag_that_gives_no_map_says_what_it_lacks(tiny, tmp_path, changes, options, reason):
    drive_bag(tmp_path / 'drive', changes)
    status, _, err = tiny('drive', *options)
    assert status == 2 and reason in err and len(err.strip().splitlines()[-1]) < 600
    assert not list(tmp_path.glob('*.safetensors'))


def test_map_of_another_model_is_refused_with_both_names(tiny, flat):
    Path('flat.safetensors').write_bytes(flat)
    voxels, facts = read_map(Path('flat.safetensors'))
    write_map(Path('other.safetensors'), voxels, replace(facts, model='lseg-vitl16-512'))
    status, _, err = tiny('other.safetensors', '--ask', 'sofa')
    assert status == 2 and 'lseg-vitl16-512' in err and facts.model in err and 'cannot be compared' in err


def test_map_of_label_images_is_drawn_but_not_asked(lseg, tmp_path):
    known = VoteMap(MapSettings(voxel_size=SIZE_M))
    view = replace(wall_ahead(2.0), vectors=torch.ones((24, 32, 1), dtype=torch.uint8))
    known.add(LabelRegistry().replace(['floor']), seen(view))
    known.save(tmp_path / 'votes.safetensors')
    status, _, err = lseg('map', 'votes.safetensors', '--ask', 'floor')
    assert status == 2 and 'can only be drawn, not asked' in err and len(err.splitlines()) == 1
    assert not (tmp_path / 'votes.png').exists()
    status, out, _ = lseg('map', 'votes.safetensors')
    assert status == 0 and 'votes for labels' in out and (tmp_path / 'votes.png').is_file()


@pytest.mark.parametrize(
    'arguments, reason',
    [
        (('nothing.safetensors',), 'no such bag or map: nothing.safetensors'),
        (('text.safetensors',), 'is not a map, or cut short'),
        (('flat.safetensors', '--ask', ' '), 'prompt'),
        (('flat.safetensors', '--ask', 'sofa', '--labels-file', 'indor'), "did you mean 'indoor'"),
        (('flat.safetensors', '--floor-height', '-9'), 'lower than 1.8 m above a floor at -9 m'),
    ],
)
def test_wrong_question_is_refused_in_one_line(tiny, flat, tmp_path, arguments, reason):
    Path('text.safetensors').write_text('text')
    Path('flat.safetensors').write_bytes(flat)
    status, _, err = tiny(*arguments)
    assert status == 2 and reason in err and len(err.splitlines()) == 1


@pytest.fixture(scope='module')
def flat(tmp_path_factory, weights):
    """The bytes of a map of the small network."""
    folder = tmp_path_factory.mktemp('flat')
    bag, target = drive_bag(folder / 'drive'), folder / 'flat.safetensors'
    options = ('--model', weights, '--device', 'cpu', '--backend', 'eager', '--output', target)
    assert cli.main(['map', str(bag), *map(str, options)]) == 0
    return target.read_bytes()
