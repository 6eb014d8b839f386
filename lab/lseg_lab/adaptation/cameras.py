# SPDX-License-Identifier: Apache-2.0
"""Find the cameras in folders, videos and bags, and read chosen frames of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lseg_ros.error_text import one_line
from lseg_ros.media.images import read_image
from lseg_ros.media.inputs import IMAGE_SUFFIXES, SUFFIXES, Kind, is_bag_folder, plan
from lseg_ros.media.sources import RECORDED_DRIVE, recorded_drive
from lseg_ros.media.videos import Video

_RECORDINGS = SUFFIXES[Kind.VIDEO] | SUFFIXES[Kind.BAG]

Frames = Iterator[tuple[int, np.ndarray]]


@dataclass(frozen=True)
class Camera:
    """The frames of one camera, in the order in which they were taken.

    Attributes:
        name: of the folder, the video or the topic.
        count: number of frames; for a video perhaps an upper bound.
        read: yields (number, uint8 RGB [H, W, 3]) of those of the given frames, in ascending
            order, that can be read.
    """

    name: str
    count: int
    read: Callable[[Sequence[int]], Frames]


def find_cameras(arguments: Sequence[str], work: Path, topics: Sequence[str] = ()) -> list[Camera]:
    """Find the cameras that `arguments` name.

    A camera is a folder with images in it, a video, an image topic of a bag, or a recording: a
    folder with camera.json, or a camera of the recorded drive by its name. Folders are searched
    recursively, except for `work`. `topics` are those to read from bags; by default the only one.
    Raise OSError or ValueError with the reason if an argument cannot be used.
    """
    folders: dict[Path, list[Path]] = {}
    others: list[Camera] = []
    for argument in arguments:
        for item in plan(_inputs(argument), work):
            if item.kind is Kind.IMAGE:
                folders.setdefault(item.path.parent, []).append(item.path)
            elif item.kind is Kind.VIDEO:
                others.append(_video(item.path))
            else:
                others += _bag(item.path, topics)
    return [_images(folder, paths) for folder, paths in folders.items() if _is_colour(folder)] + others


def check_distinct(cameras: Sequence[Camera]) -> None:
    """Raise ValueError if two of the cameras are the same."""
    names = [camera.name for camera in cameras]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f'{double} is given twice: a camera is either trained on or left out')


def _inputs(argument: str) -> list[str]:
    """Return what `plan` is to look at: for a folder, also the videos and bags below it."""
    path = recorded_drive() / RECORDED_DRIVE[argument] if argument in RECORDED_DRIVE else Path(argument)
    if (path / 'camera.json').is_file():
        return [str(path / 'rgb')]
    if not path.is_dir() or is_bag_folder(path):
        return [argument]
    below = [each for each in sorted(path.rglob('*')) if not is_bag_folder(each.parent)]
    inputs = [str(each) for each in below if is_bag_folder(each) or each.suffix.lower() in _RECORDINGS]
    has_images = any(each.suffix.lower() in IMAGE_SUFFIXES for each in below)
    return [argument, *inputs] if has_images or not inputs else inputs


def _is_colour(folder: Path) -> bool:
    """Return whether a folder is none of those with depth and masks in a recording."""
    return folder.name == 'rgb' or not (folder.parent / 'camera.json').is_file()


def _images(folder: Path, paths: Sequence[Path]) -> Camera:
    paths = sorted(set(paths))

    def read(numbers: Sequence[int]) -> Frames:
        for number in numbers:
            try:
                yield number, read_image(paths[number])
            except OSError as error:
                tqdm.write(f'lseg: skipped {paths[number]}: {one_line(error)}', file=sys.stderr)

    name = folder.parent if folder.name == 'rgb' else folder
    return Camera(str(name), len(paths), read)


def _video(path: Path) -> Camera:
    video = Video(path)

    def read(numbers: Sequence[int]) -> Frames:
        return _chosen(iter(video), numbers)

    return Camera(str(path), video.frame_count or sum(1 for _ in video), read)


def _bag(path: Path, topics: Sequence[str]) -> list[Camera]:
    # Only bags need rosbags.
    from lseg_ros.media.bags import BagReader

    with BagReader(path) as bag:
        names = [bag.image_topic(topic) for topic in topics or ('',)]
        counts = [bag.count(name) for name in names]
    return [_topic(path, name, count) for name, count in zip(names, counts)]


def _topic(path: Path, topic: str, count: int) -> Camera:
    from lseg_ros.media.bags import BagReader

    def read(numbers: Sequence[int]) -> Frames:
        faults: list[str] = []
        with BagReader(path) as bag:
            yield from _chosen((image.pixels for image in bag.images(topic, faults)), numbers)
        if faults:
            tqdm.write(f'lseg: skipped {len(faults)} images of {path}: {topic}: {faults[0]}', file=sys.stderr)

    return Camera(f'{path}:{topic}', count, read)


def _chosen(frames: Iterator[np.ndarray], numbers: Sequence[int]) -> Frames:
    """Yield the frames with these numbers."""
    wanted = set(numbers)
    for number, frame in enumerate(frames):
        if number in wanted:
            yield number, frame
        if number >= numbers[-1]:
            return
