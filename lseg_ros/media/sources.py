# SPDX-License-Identifier: Apache-2.0
"""The image sources of the camera node: files, folders, videos, webcams and recordings."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from PIL import Image

from lseg_ros.media.images import read_image
from lseg_ros.media.inputs import IMAGE_SUFFIXES
from lseg_ros.media.videos import Video
from lseg_ros.shared_files import find_shared

# Sources in the recorded drive, and the folders of their cameras.
RECORDED_DRIVE = {'drive': 'front', 'drive/left': 'left', 'drive/rear': 'rear'}


@dataclass(frozen=True)
class CameraModel:
    """A pinhole camera without distortion: size in pixels and row-major 3 x 3 matrix K."""

    width: int
    height: int
    matrix: tuple[float, ...]


@dataclass(frozen=True)
class Shot:
    """An image, uint8 RGB [H, W, 3], and its depth, uint16 [H, W] in millimetres (0: unknown).

    `pose`, if it is known, is the transform [4, 4] from the optical frame to the map.
    """

    image: np.ndarray
    depth_mm: np.ndarray | None = None
    pose: np.ndarray | None = None


class ImageFiles:
    """Image files in the order given, each read when its turn comes."""

    camera: CameraModel | None = None

    def __init__(self, paths: list[Path]) -> None:
        """Set the paths; iteration raises OSError at a file that is not an image."""
        self._paths = paths

    def __iter__(self) -> Iterator[Shot]:
        for path in self._paths:
            yield Shot(read_image(path))


class Recording:
    """A folder with camera.json, rgb/*.jpg, and depth/*.png in 16-bit millimetres."""

    def __init__(self, folder: Path) -> None:
        """Read the camera; raise ValueError if camera.json lacks width, height or K.

        Its poses, one [4, 4] per picture, are optional.
        """
        self._pictures = _images_in(folder / 'rgb')
        self._depths = folder / 'depth'
        try:
            facts = json.loads((folder / 'camera.json').read_text(encoding='utf-8'))
            matrix = tuple(float(value) for value in np.ravel(facts['K']))
            self.camera = CameraModel(int(facts['width']), int(facts['height']), matrix)
            self._poses = [np.array(pose, float).reshape(4, 4) for pose in facts.get('poses', ())]
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f'{folder}/camera.json must contain width, height and K: {error!r}') from error

    def __iter__(self) -> Iterator[Shot]:
        for path, pose in zip_longest(self._pictures, self._poses[: len(self._pictures)]):
            with Image.open(self._depths / f'{path.stem}.png') as depth:
                yield Shot(read_image(path), np.asarray(depth, np.uint16), pose)


class VideoFrames:
    """The frames of a video file, or of a webcam by its number."""

    camera: CameraModel | None = None

    def __init__(self, source: str | int) -> None:
        """Open the source; raise OSError if OpenCV cannot."""
        self._video = Video(source)

    def __iter__(self) -> Iterator[Shot]:
        for image in self._video:
            yield Shot(image)


ImageSource = ImageFiles | Recording | VideoFrames


def open_source(source: str) -> ImageSource:
    """Open an image source; each iteration over it starts from the beginning.

    `source` is `drive` (or `drive/left`, `drive/rear`) for a camera of the recorded drive, the
    number of a webcam, the path of an image, a video, a folder of images or a recording, or a
    pattern such as *.jpg.
    Raise OSError or ValueError with the reason if it cannot be opened.
    """
    if source in RECORDED_DRIVE:
        return Recording(recorded_drive() / RECORDED_DRIVE[source])
    if source.isdecimal():
        return VideoFrames(int(source))
    path = Path(source).expanduser()
    if path.is_dir():
        return Recording(path) if (path / 'camera.json').is_file() else ImageFiles(_images_in(path))
    if path.is_file():
        return ImageFiles([path]) if _is_image(path) else VideoFrames(str(path))
    if paths := sorted(map(Path, glob.glob(str(path)))):
        return ImageFiles([path for path in paths if _is_image(path)])
    raise FileNotFoundError(
        f'no image source {source!r}: give drive, the number of a webcam, or the path of an image, a folder or a video'
    )


def recorded_drive() -> Path:
    """Return the folder of the recorded drive; raise FileNotFoundError if it is not installed."""
    folder = find_shared('demo/drive')
    if folder is None:
        raise FileNotFoundError(
            'the recorded drive is not installed: build lseg_ros with '
            '--cmake-args -DLSEG_ROS_DEMO=ON, or run from a checkout'
        )
    return folder


def _images_in(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if _is_image(path))
    if not paths:
        suffixes = ', '.join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f'no images in {folder}: looked for {suffixes}')
    return paths


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES
