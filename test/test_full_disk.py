# SPDX-License-Identifier: Apache-2.0
"""A full disk: one line, status 1, and each file is whole or absent.

A limit on the size of files takes the place of the disk, because filling one needs root.
"""

import cv2
import numpy as np
import pytest
from bag_files import pictures, rgbd_topics, write_bag
from limited_disk import FULL, room
from PIL import Image

from lseg_ros import cli
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.images import write_ids, write_image
from lseg_ros.media.videos import VideoWriter


@pytest.fixture
def lseg(monkeypatch, tmp_path, cached_weights, capsys):
    """Return a function that runs a command with little room and gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(command, size, *arguments):
        options = ('--model', cached_weights, '--device', 'cpu', '--backend', 'eager', '--output', 'out')
        with room(size):
            status = cli.main([command, *map(str, (*arguments, *options))])
        return (status, *capsys.readouterr())

    return run


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    count = 0
    while video.grab():
        count += 1
    return count


def test_video_is_whole_or_absent_wherever_the_disk_ends(tmp_path):
    frames = pictures(6, (48, 64))

    def write(path):
        with VideoWriter(path, 12.5) as video:
            for frame in frames:
                video.write(frame)

    write(tmp_path / 'whole.mp4')
    size = (tmp_path / 'whole.mp4').stat().st_size
    for limit in (*range(0, size, size // 12), *range(size - 300, size, 25), size - 1):
        with room(limit), pytest.raises(OSError, match='File too large.*cut.mp4'):
            write(tmp_path / 'cut.mp4')
        assert [path.name for path in tmp_path.iterdir()] == ['whole.mp4']
    with room(size):
        write(tmp_path / 'cut.mp4')
    assert frames_of(tmp_path / 'cut.mp4') == 6


@pytest.mark.parametrize(
    'write',
    [
        lambda path: write_image(path, pictures(1)[0]),
        lambda path: write_ids(path, pictures(1)[0][..., 0], LabelRegistry().replace(['floor'])),
    ],
    ids=['overlay', 'ids'],
)
def test_image_is_whole_or_absent_and_the_earlier_one_stays(tmp_path, write):
    path = tmp_path / 'photo.png'
    path.write_bytes(b'earlier')
    with room(500), pytest.raises(OSError, match='File too large.*photo.png'):
        write(path)
    assert path.read_bytes() == b'earlier' and list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_segment_stops_at_a_full_disk(lseg, tmp_path):
    for name in ('a.png', 'b.png'):
        Image.fromarray(pictures(1)[0]).save(tmp_path / name)
    status, out, err = lseg('segment', 3000, 'a.png', 'b.png', '--labels', 'floor')
    assert (status, out) == (1, '0 of 2 images segmented into out\n')
    assert err.startswith(f'lseg: skipped a.png: {FULL}') and err.count('\n') == 1
    assert {path.name for path in (tmp_path / 'out').iterdir()} <= {'labels.json', 'a.ids.png'}
    status, _, err = lseg('segment', 10, 'a.png', '--labels', 'floor')
    assert status == 1 and err.startswith(f'lseg: error: {FULL}') and err.count('\n') == 1


@pytest.mark.slow
def test_segmented_video_is_whole_or_absent(lseg, tmp_path):
    writer = cv2.VideoWriter('clip.mp4', cv2.VideoWriter_fourcc(*'mp4v'), 12.5, (64, 48))
    for frame in pictures(4, (48, 64)):
        writer.write(frame)
    writer.release()
    status, out, err = lseg('segment', 8000, 'clip.mp4', '--labels', 'floor')
    assert status == 1 and '0 of 1' in out
    assert err.startswith(f'lseg: skipped clip.mp4: {FULL}') and err.count('\n') == 1
    assert not list((tmp_path / 'out').glob('*.mp4'))


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
@pytest.mark.parametrize('size', [5000, 15_000])
def test_bag_of_results_is_whole_or_absent(lseg, tmp_path, storage, size):
    write_bag(tmp_path / 'run', rgbd_topics(4), storage)
    status, out, err = lseg('segment', size, 'run', '--labels', 'floor')
    assert status == 1 and '0 of 1' in out
    assert err.startswith(f'lseg: skipped run: {FULL}') and err.count('\n') == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['labels.json']


@pytest.mark.slow
def test_embedding_is_whole_or_absent(lseg, tmp_path):
    Image.fromarray(pictures(1)[0]).save(tmp_path / 'a.png')
    status, out, err = lseg('embed', 100_000, 'a.png')
    assert (status, out) == (1, '0 of 1 images embedded into out\n')
    assert err.startswith(f'lseg: skipped a.png: {FULL}') and err.count('\n') == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['embeddings.json']
    status, _, err = lseg('embed', 10_000_000, 'a.png')
    assert status == 0, err
    assert np.load(tmp_path / 'out' / 'a.npy', mmap_mode='r').shape == (40, 60, 384)
