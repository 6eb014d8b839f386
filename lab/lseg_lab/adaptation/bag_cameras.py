# SPDX-License-Identifier: Apache-2.0
"""The cameras of a bag: their images and, from depth and tf, where the pixels lie."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from lseg_lab.adaptation.camera import Camera, NumberedImages, NumberedViews, choose
from lseg_lab.adaptation.scene_view import SceneView
from lseg_ros.commands.bag_options import BagOptions
from lseg_ros.core.cloud import check_aligned
from lseg_ros.core.lens import image_camera, lens
from lseg_ros.mapping.rgbd_bag import RgbdBag, RgbdFrame
from lseg_ros.mapping.transforms import TransformTree
from lseg_ros.media.bags import BagReader
from lseg_ros.media.ros_images import to_nanoseconds


def bag_cameras(path: Path, options: BagOptions) -> list[Camera]:
    """Return the cameras of a bag; raise BagError if it cannot be read or lacks a topic."""
    cameras = []
    with BagReader(path) as bag:
        for topic, depth, info in options.cameras():
            image = bag.image_topic(topic)
            views = _views(path, (image, depth, info), options)
            cameras.append(Camera(f'{path}:{image}', bag.count(image), _images(path, image), views))
    return cameras


def _images(path: Path, topic: str) -> Callable[[Sequence[int]], NumberedImages]:
    def read(numbers: Sequence[int]) -> NumberedImages:
        faults: list[str] = []
        with BagReader(path) as bag:
            yield from choose((image.pixels for image in bag.images(topic, faults)), numbers)
        if faults:
            tqdm.write(f'lseg: skipped {len(faults)} images of {path}: {topic}: {faults[0]}', file=sys.stderr)

    return read


def _views(path: Path, topics: tuple[str, str, str], options: BagOptions) -> Callable[[Sequence[int]], NumberedViews]:
    """Return how to read the views of the images of a topic, with the topics of depth and lens."""

    def read(numbers: Sequence[int]) -> NumberedViews:
        faults: list[str] = []
        with RgbdBag(path) as bag:
            camera, transforms = bag.camera(*topics), bag.transforms()
            wanted = _stamps(path, camera.image, numbers)
            for frame in bag.frames([camera]):
                if frame is None or frame.stamp_ns not in wanted:
                    continue
                try:
                    view = _view(frame, transforms, options)
                except ValueError as error:
                    faults.append(str(error))
                else:
                    yield wanted.pop(frame.stamp_ns), view
            if wanted:
                reason = next(iter([*faults, *bag.drops]), 'no depth')
                raise ValueError(f'{len(wanted)} of {len(numbers)} frames: {reason}')

    return read


def _stamps(path: Path, topic: str, numbers: Sequence[int]) -> dict[int, int]:
    """Return the numbers of some images by their stamps, in nanoseconds."""
    with BagReader(path) as bag:
        return {to_nanoseconds(image.header.stamp): number for number, image in choose(bag.images(topic, []), numbers)}


def _view(frame: RgbdFrame, transforms: TransformTree, options: BagOptions) -> SceneView:
    """Return the view of a frame; raise ValueError, with the reason, if it has none."""
    size = frame.image.shape[0], frame.image.shape[1]
    check_aligned(frame.depth, size)
    optics = lens(frame.info, image_camera(frame.info, size), options.rectified)
    return SceneView.of(frame.depth, optics, transforms.at(options.map_frame, frame.frame_id, frame.stamp_ns))
