# SPDX-License-Identifier: Apache-2.0
"""``lseg segment`` on videos and on ROS bags of either storage."""

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_files import (
    PERIOD_NS,
    START_NS,
    TRANSPORT_NS,
    compressed,
    cut,
    header,
    image,
    pictures,
    rgbd_topics,
    write_bag,
)
from PIL import Image
from rosbags.highlevel import AnyReader

from lseg_ros import cli
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import load

pytestmark = pytest.mark.slow

LABELS = ['floor', 'wall']


@pytest.fixture
def segment(monkeypatch, tmp_path, cached_weights, capsys):
    """Return a function that runs ``lseg segment`` and gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        # eager: it starts at once.
        options = ('--model', cached_weights, '--device', 'cpu', '--backend', 'eager', '--labels', ', '.join(LABELS))
        status = cli.main(['segment', *map(str, (*options, *arguments))])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture(scope='module')
def expected_ids(weights):
    """Return a function that segments a picture as the node does."""
    segmenter = SinglePassSegmenter(load(weights))
    prepared = segmenter.prepare(LabelRegistry().replace(LABELS))
    return lambda pixels: segmenter.segment([pixels], prepared)[0].ids


def write_video(path, frames, rate=12.5):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, (width, height))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path


def read_bag(path):
    """Return the (topic, recorded_ns, message) of a bag."""
    with AnyReader([path]) as reader:
        return [
            (connection.topic, when, reader.deserialize(data, connection.msgtype))
            for connection, when, data in reader.messages()
        ]


def test_video_gives_an_overlay_video_and_the_ids_of_each_frame(segment, tmp_path, expected_ids):
    write_video(tmp_path / 'clip.mp4', pictures(4, (48, 64)))
    status, out, _ = segment('clip.mp4')
    assert status == 0 and '1 of 1 videos' in out
    folder = tmp_path / 'lseg_output'
    overlay = cv2.VideoCapture(str(folder / 'clip.overlay.mp4'))
    assert overlay.get(cv2.CAP_PROP_FPS) == 12.5 and overlay.read()[1].shape == (48, 64, 3)
    names = sorted(path.name for path in (folder / 'clip.ids').iterdir())
    assert names == ['000000.png', '000001.png', '000002.png', '000003.png']
    decoded = cv2.VideoCapture(str(tmp_path / 'clip.mp4')).read()[1][..., ::-1]
    ids = np.array(Image.open(folder / 'clip.ids' / '000000.png'))
    assert np.array_equal(ids, expected_ids(np.ascontiguousarray(decoded)))


def test_video_with_a_pause_is_segmented_to_its_end(segment, tmp_path):
    status, out, err = segment(Path(__file__).parent / 'videos' / 'pause.mkv')
    assert (status, err) == (0, '') and '1 of 1 videos' in out
    assert len(list((tmp_path / 'lseg_output' / 'pause.ids').iterdir())) == 12


@pytest.mark.parametrize('storage, suffix', [('sqlite3', '.db3'), ('mcap', '.mcap')])
def test_bag_gives_a_bag_of_label_images_with_the_headers_of_the_pictures(
    segment, tmp_path, expected_ids, storage, suffix
):
    write_bag(tmp_path / 'run1', rgbd_topics(3), storage)
    status, _, err = segment('run1', '--output', 'out')
    assert status == 0, err
    messages = read_bag(tmp_path / 'out' / 'run1.labels')
    assert len(list((tmp_path / 'out' / 'run1.labels').glob(f'*{suffix}'))) == 1
    masks = [(when, each) for topic, when, each in messages if topic == '/lseg/label_image']
    assert len(masks) == 3
    for index, ((when, mask), picture) in enumerate(zip(masks, pictures(3))):
        assert when == START_NS + index * PERIOD_NS + TRANSPORT_NS
        assert repr(mask.header) == repr(header(index))
        assert (mask.encoding, mask.step) == ('mono8', 60)
        assert np.array_equal(mask.data.reshape(40, 60), expected_ids(picture))
    infos = [each for topic, _, each in messages if topic == '/lseg/label_info']
    assert [{each.class_id: each.class_name for each in info.class_map} for info in infos] == [
        {0: 'other', 1: 'floor', 2: 'wall'}
    ]
    assert sum(topic == '/lseg/confidence' for topic, _, _ in messages) == 3
    table = json.loads((tmp_path / 'out' / 'labels.json').read_text())
    assert [entry['name'] for entry in table['classes']] == ['other', 'floor', 'wall']


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_folder_with_a_bag_but_no_metadata_is_read(segment, tmp_path, storage):
    bag = write_bag(tmp_path / 'run1', rgbd_topics(1), storage)
    (bag / 'metadata.yaml').unlink()
    status, _, err = segment('run1')
    assert status == 0, err
    assert len(read_bag(tmp_path / 'lseg_output' / 'run1.labels')) == 3


def test_damaged_file_of_a_split_bag_is_reported_and_the_others_are_segmented(segment, tmp_path):
    bag = write_bag(tmp_path / 'run', rgbd_topics(2))
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('- run.db3', '- run.db3\n  - run_1.db3', 1))
    (bag / 'run_1.db3').write_bytes(b'noise' * 100)
    status, _, err = segment('run', '--topic', '/camera/image_raw')
    assert status == 1 and err.count('\n') == 1
    assert err.startswith('lseg: read part of run: run_1.db3 is damaged, or cut short: ')
    messages = read_bag(tmp_path / 'lseg_output' / 'run.labels')
    assert sum(topic == '/lseg/label_image' for topic, _, _ in messages) == 2


@pytest.mark.parametrize('bad', [0, 2])
def test_bad_image_of_a_bag_is_reported_and_the_others_are_segmented(segment, tmp_path, bad):
    images = [image(i, each) for i, each in enumerate(pictures(4))]
    images[bad] = image(bad, pictures(1)[0], height=99)
    write_bag(tmp_path / 'run', {'/image': images})
    status, out, err = segment('run')
    assert status == 1 and out == '0 of 1 bags segmented into lseg_output, 1 in part\n'
    assert err.endswith(f'; results in {Path("lseg_output", "run.labels")}\n')
    assert err.startswith('lseg: read part of run: 1 of 4 images could not be read: /image: image data end early')
    assert err.count('\n') == 1
    masks = [each for topic, _, each in read_bag(tmp_path / 'lseg_output' / 'run.labels') if 'label_image' in topic]
    assert [repr(each.header) for each in masks] == [repr(header(i)) for i in range(4) if i != bad]


@pytest.mark.parametrize('storage, suffix', [('sqlite3', '.db3'), ('mcap', '.mcap')])
def test_single_file_of_a_bag_is_read(segment, tmp_path, storage, suffix):
    bag = write_bag(tmp_path / 'run1', rgbd_topics(1), storage)
    (file,) = bag.glob(f'*{suffix}')
    file.rename(tmp_path / f'alone{suffix}')
    status, _, err = segment(f'alone{suffix}')
    assert status == 0, err
    assert len(read_bag(tmp_path / 'lseg_output' / 'alone.labels')) == 3


def png(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, 'png')
    return data.getvalue()


def padded(index, pixels):
    rows = np.pad(pixels.reshape(40, 180), ((0, 0), (0, 12)))
    return image(index, pixels, step=192, data=rows.reshape(-1))


@pytest.mark.parametrize(
    'message',
    [
        lambda rgb: compressed(0, png(rgb)),
        lambda rgb: image(0, rgb[..., ::-1], 'bgr8'),
        lambda rgb: image(0, (rgb.astype('>u2') * 257), 'rgb16', is_bigendian=1),
        lambda rgb: padded(0, rgb),
    ],
    ids=['compressed', 'bgr8', 'rgb16', 'padded rows'],
)
def test_encodings_of_a_bag_give_the_same_ids(segment, tmp_path, expected_ids, message):
    (picture,) = pictures(1)
    write_bag(tmp_path / 'run', {'/image': [message(picture)]})
    status, _, err = segment('run')
    assert status == 0, err
    (mask,) = (
        each for topic, _, each in read_bag(tmp_path / 'lseg_output' / 'run.labels') if topic == '/lseg/label_image'
    )
    assert np.array_equal(mask.data.reshape(40, 60), expected_ids(picture))


def test_topic_chooses_among_several(segment, tmp_path):
    one, two = ([image(i, each)] for i, each in enumerate(pictures(2)))
    write_bag(tmp_path / 'run', {'/left': one, '/right': two})
    status, _, err = segment('run')
    assert status == 1 and 'several image topics, choose one: /left, /right' in err
    assert segment('run', '--topic', '/right')[0] == 0
    messages = read_bag(tmp_path / 'lseg_output' / 'run.labels')
    assert repr(messages[-1][2].header) == repr(header(1))


def test_bag_is_never_written_over(segment, tmp_path):
    write_bag(tmp_path / 'run', rgbd_topics(1))
    assert segment('run')[0] == 0
    status, _, err = segment('run')
    assert status == 1 and 'run.labels already exists' in err


def make_damaged(folder):
    """Make inputs that cannot be read; return what is to be said of each."""
    for storage, suffix in (('sqlite3', 'db3'), ('mcap', 'mcap')):
        bag = write_bag(folder / f'cut_{storage}', rgbd_topics(3), storage)
        cut(next(bag.glob(f'*.{suffix}')), 0.5)
    depth = {'/depth': rgbd_topics(1)['/camera/depth']}
    write_bag(folder / 'only_depth', depth)
    write_bag(folder / 'odd', {'/image': [image(0, pictures(1)[0], 'yuv9')]})
    write_bag(folder / 'short', {'/image': [image(0, pictures(1)[0], height=99)]})
    grey = pictures(1)[0][..., 0]
    Image.fromarray(np.float32(grey / 255)).save(folder / 'float.tif')
    Image.fromarray(np.int32(grey)).save(folder / 'int32.tif')
    (folder / 'noise.mcap').write_bytes(b'noise' * 100)
    (folder / 'noise.mp4').write_bytes(b'noise' * 100)
    cut(write_video(folder / 'cut.mp4', pictures(4, (48, 64))), 0.5)


@pytest.mark.parametrize('name', ['wide.png', 'wide.tif', 'wide.ppm'])
def test_sixteen_bit_grey_is_seen_by_its_high_bytes(segment, tmp_path, expected_ids, name):
    grey = pictures(1)[0][..., 0]
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / name)
    assert segment(name)[0] == 0
    with Image.open(tmp_path / 'lseg_output' / 'wide.ids.png') as ids:
        assert np.array_equal(ids, expected_ids(np.dstack([grey] * 3)))


@pytest.mark.parametrize(
    'name, reason',
    [
        ('cut_sqlite3', 'not a readable bag'),
        ('cut_mcap', 'not a readable bag'),
        ('only_depth', 'no image topic; it has /depth (sensor_msgs/msg/Image)'),
        ('odd', "/image: unknown image encoding 'yuv9'"),
        ('short', '/image: image data end early'),
        ('float.tif', 'convert it to 8 or 16 bits'),
        ('int32.tif', 'convert it to 8 or 16 bits'),
        ('noise.mcap', 'not a readable bag'),
        ('noise.mp4', 'cannot open the video'),
        ('cut.mp4', 'cannot open the video'),
    ],
)
def test_damaged_input_is_skipped_in_one_line_and_the_rest_is_done(segment, tmp_path, name, reason):
    make_damaged(tmp_path)
    Image.fromarray(pictures(1)[0]).save(tmp_path / 'photo.png')
    status, out, err = segment(name, 'photo.png')
    assert status == 1 and '1 of 2 ' in out
    assert err.startswith(f'lseg: skipped {name}: ') and reason in err and err.count('\n') == 1
    assert {path.name for path in (tmp_path / 'lseg_output').iterdir()} == {
        'labels.json',
        'photo.ids.png',
        'photo.overlay.png',
    }
