# SPDX-License-Identifier: Apache-2.0
"""Whether a video was read to its end: duration times rate is not the number of frames.

Each of the files has 12 frames of 1/30 s. Those of `pause` have ten seconds in their midst without
a frame, `late` starts at one hour, and the sound of `sound` goes on after the pictures. Those of
`stream` were written as if to a pipe: most do not say how long they are.
"""

from pathlib import Path

import pytest

from lseg_ros.media.videos import Video

VIDEOS = sorted(path.name for path in (Path(__file__).parent / 'videos').iterdir())

# Nothing in these tells of a missing end unless they end within a packet.
ENDLESS = ('stream.mkv', 'stream.mpg', 'stream.ogv', 'stream.ts')


@pytest.fixture(params=VIDEOS)
def path(request):
    return Path(__file__).parent / 'videos' / request.param


def frames_of(video):
    return sum(1 for _ in video)


def test_whole_video_is_whole(path):
    video = Video(path)
    assert frames_of(video) == 12
    video.check_whole()


@pytest.mark.parametrize('share', [0.6, 0.8])
def test_cut_video_ends_early(path, tmp_path, share):
    data = path.read_bytes()
    cut = tmp_path / path.name
    cut.write_bytes(data[: int(share * len(data))])
    video = Video(cut)
    frames_of(video)
    with pytest.raises(OSError, match='the video ends early'):
        video.check_whole()


@pytest.mark.parametrize('page', [3, 5, 7])
def test_ogg_that_is_cut_between_two_pages_ends_early(tmp_path, page):
    data = (Path(__file__).parent / 'videos' / 'stream.ogv').read_bytes()
    cut = tmp_path / 'cut.ogv'
    cut.write_bytes(b''.join(b'OggS' + rest for rest in data.split(b'OggS')[1 : page + 1]))
    video = Video(cut)
    frames_of(video)
    with pytest.raises(OSError, match='the video ends early'):
        video.check_whole()


@pytest.mark.parametrize('path', [name for name in VIDEOS if name not in ENDLESS], indirect=True)
def test_video_whose_end_is_empty_ends_early(path, tmp_path):
    data = path.read_bytes()
    part = int(0.6 * len(data))
    (tmp_path / path.name).write_bytes(data[:part] + bytes(len(data) - part))  # a download that broke off
    video = Video(tmp_path / path.name)
    frames_of(video)
    with pytest.raises(OSError, match='the video ends early'):
        video.check_whole()
