# SPDX-License-Identifier: Apache-2.0
"""The cameras of a bag."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from lseg_lab.adaptation.camera import Camera, NumberedImages, choose
from lseg_ros.media.bags import BagReader


def bag_cameras(path: Path, topics: Sequence[str]) -> list[Camera]:
    """Return the cameras of a bag, by default the only one; raise BagError if there is none."""
    with BagReader(path) as bag:
        images = [bag.image_topic(topic) for topic in topics or ('',)]
        counts = [bag.count(image) for image in images]
    return [Camera(f'{path}:{image}', count, _images(path, image)) for image, count in zip(images, counts)]


def _images(path: Path, topic: str) -> Callable[[Sequence[int]], NumberedImages]:
    def read(numbers: Sequence[int]) -> NumberedImages:
        faults: list[str] = []
        with BagReader(path) as bag:
            yield from choose((image.pixels for image in bag.images(topic, faults)), numbers)
        if faults:
            tqdm.write(f'lseg: skipped {len(faults)} images of {path}: {topic}: {faults[0]}', file=sys.stderr)

    return read
