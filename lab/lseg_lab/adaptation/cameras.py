# SPDX-License-Identifier: Apache-2.0
"""Find the cameras in folders, videos and bags, and read chosen frames of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lseg_lab.adaptation.camera import Camera, NumberedImages, NumberedViews, choose
from lseg_lab.adaptation.scene_view import SceneView
from lseg_ros.commands.bag_options import BagOptions
from lseg_ros.core.lens import Lens
from lseg_ros.error_text import one_line
from lseg_ros.media.images import read_image
from lseg_ros.media.inputs import IMAGE_SUFFIXES, SUFFIXES, Kind, is_bag_folder, plan
from lseg_ros.media.sources import RECORDED_DRIVE, Recording, recorded_drive
from lseg_ros.media.videos import Video

_RECORDINGS = SUFFIXES[Kind.VIDEO] | SUFFIXES[Kind.BAG]
_DEFAULTS = BagOptions()


def find_cameras(arguments: Sequence[str], work: Path, bags: BagOptions = _DEFAULTS) -> list[Camera]:
    """Find the cameras that `arguments` name.

    A camera is a folder with images in it, a video, an image topic of a bag, or a recording: a
    folder with camera.json, or a camera of the recorded drive by its name. Folders are searched
    recursively, except for `work`. `bags` says how bags are read.
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
                # Only bags need rosbags.
                from lseg_lab.adaptation.bag_cameras import bag_cameras

                others += bag_cameras(item.path, bags)
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

    def read(numbers: Sequence[int]) -> NumberedImages:
        for number in numbers:
            try:
                yield number, read_image(paths[number])
            except OSError as error:
                tqdm.write(f'lseg: skipped {paths[number]}: {one_line(error)}', file=sys.stderr)

    if folder.name != 'rgb':
        return Camera(str(folder), len(paths), read)
    whole = len(paths) == sum(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
    views = _recording_views(folder.parent) if whole else None
    return Camera(str(folder.parent), len(paths), read, views)


def _recording_views(folder: Path) -> Callable[[Sequence[int]], NumberedViews] | None:
    """Return how to read the views of a recording; None if it has no calibration or no depth."""
    if not (folder / 'camera.json').is_file() or not (folder / 'depth').is_dir():
        return None
    try:
        recording = Recording(folder)
    except ValueError:
        return None
    lens = Lens(np.reshape(recording.camera.matrix, (3, 3)), np.zeros(0))

    def read(numbers: Sequence[int]) -> NumberedViews:
        for number, shot in choose(iter(recording), numbers):
            if shot.depth_mm is not None and shot.pose is not None:
                yield number, SceneView.of(shot.depth_mm, lens, shot.pose)

    return read


def _video(path: Path) -> Camera:
    video = Video(path)

    def read(numbers: Sequence[int]) -> NumberedImages:
        return choose(iter(video), numbers)

    return Camera(str(path), video.frame_count or sum(1 for _ in video), read)
