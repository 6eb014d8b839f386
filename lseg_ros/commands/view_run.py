# SPDX-License-Identifier: Apache-2.0
"""What ``lseg view`` does."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lseg_ros.commands.model_options import open_chosen
from lseg_ros.core.cloud import PixelGrid, RayCache, check_aligned, depth_in_metres
from lseg_ros.core.lens import Lens, image_camera, lens
from lseg_ros.error_text import counted
from lseg_ros.labels import LabelSet
from lseg_ros.mapping.rgbd_bag import RgbdBag, RgbdFrame
from lseg_ros.media.bags import BagError, BagReader
from lseg_ros.media.images import read_image
from lseg_ros.media.inputs import Input, Kind
from lseg_ros.media.rerun_recording import RerunRecording, rerun_recording
from lseg_ros.media.ros_images import to_nanoseconds
from lseg_ros.media.videos import Video


@dataclass(frozen=True)
class _Shot:
    """An image, uint8 RGB [H, W, 3], with its depth if there is some, and one of its times."""

    image: np.ndarray
    depth: RgbdFrame | None = None
    stamp_ns: int | None = None
    second: float | None = None


@dataclass
class _Shots:
    """The images of the inputs, and what could not be used."""

    inputs: Sequence[Input]
    topic: str
    drops: Counter[str] = field(default_factory=Counter)  # by reason
    damaged: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[_Shot]:
        for item in self.inputs:
            if item.kind is Kind.IMAGE:
                yield _Shot(read_image(item.path))
            elif item.kind is Kind.VIDEO:
                yield from self._of_video(item.path)
            elif has_depth(item, self.topic):
                yield from self._of_rgbd_bag(item.path)
            else:
                yield from self._of_bag(item.path)

    def problems(self) -> list[str]:
        """Return in words what could not be used."""
        return [*self.damaged, *([f'not used: {counted(self.drops)}'] if self.drops else [])]

    def _of_video(self, path: Path) -> Iterator[_Shot]:
        video = Video(path)
        for number, image in enumerate(video):
            yield _Shot(image, second=number / video.rate)
        try:
            video.check_whole()
        except OSError as error:
            self.damaged.append(str(error))

    def _of_bag(self, path: Path) -> Iterator[_Shot]:
        faults: list[str] = []
        with BagReader(path) as bag:
            for shot in bag.images(bag.image_topic(self.topic), faults):
                yield _Shot(shot.pixels, stamp_ns=to_nanoseconds(shot.header.stamp))
            self.damaged += bag.damaged
        self.drops.update(faults)

    def _of_rgbd_bag(self, path: Path) -> Iterator[_Shot]:
        with RgbdBag(path) as bag:
            for frame in bag.frames([bag.camera(self.topic)]):
                if frame is not None:
                    yield _Shot(frame.image, frame, frame.stamp_ns)
            self.damaged += bag.damaged
            self.drops.update(bag.drops)


class _Points:
    """Turns depth into points."""

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._rays = RayCache()

    def of(self, frame: RgbdFrame, optics: Lens, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return points, float32 [n, 3] in metres, and their ids [n].

        Raise ValueError if the depth is not aligned to the image.
        """
        size = frame.image.shape[0], frame.image.shape[1]
        check_aligned(frame.depth, size)
        grid = PixelGrid.between(size, size, self._stride)
        depth = depth_in_metres(grid.sample(frame.depth))
        points = np.stack([*(self._rays.of(optics, grid) * depth), depth], axis=-1)
        known = np.isfinite(points).all(axis=-1)
        return points[known], grid.sample(ids)[known]


def has_depth(item: Input, topic: str) -> bool:
    """Return whether an input is a bag with depth and calibration for its images."""
    if item.kind is not Kind.BAG:
        return False
    try:
        with RgbdBag(item.path) as bag:
            bag.camera(topic)
    except BagError:
        return False
    return True


def write_recording(args: argparse.Namespace, inputs: Sequence[Input], labels: LabelSet, target: Path) -> list[str]:
    """Write the file; return in words what could not be used.

    Raise OSError or ValueError, with the reason, if no image can be used.
    """
    segmenter = open_chosen(args)
    prepared = segmenter.prepare(labels)
    shots = _Shots(inputs, args.topic)
    points = _Points(args.points_stride)
    done = 0
    has_points = any(has_depth(item, args.topic) for item in inputs)
    with rerun_recording(target, labels, has_points) as recording:
        for shot in tqdm(shots, unit='image', disable=None):
            _set_time(recording, shot, done)
            (result,) = segmenter.segment([shot.image], prepared)
            recording.write_image(shot.image, result.ids)
            done += 1
            if shot.depth is not None:
                try:
                    _write_depth(recording, shot.depth, points, result.ids)
                except ValueError as error:
                    shots.drops[f'no points: {error}'] += 1
        if not done:
            raise ValueError(f'{args.input}: no image could be used: {"; ".join(shots.problems()) or "it is empty"}')
    return shots.problems()


def _set_time(recording: RerunRecording, shot: _Shot, number: int) -> None:
    recording.at_number(number)
    if shot.stamp_ns is not None:
        recording.at_stamp(shot.stamp_ns)
    elif shot.second is not None:
        recording.at_second(shot.second)


def _write_depth(recording: RerunRecording, frame: RgbdFrame, points: _Points, ids: np.ndarray) -> None:
    size = frame.image.shape[:2]
    optics = lens(frame.info, image_camera(frame.info, size), False)
    recording.write_camera(optics.matrix, size)
    recording.write_points(*points.of(frame, optics, ids))
