# SPDX-License-Identifier: Apache-2.0
"""Draw annotations over their photographs, for checking."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lseg_lab.annotation.labelme import find_annotations, read_annotation
from lseg_lab.annotation.masks import classes_of, open_labelled
from lseg_lab.annotation.rasterise import rasterise, snap_borders
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.labels.registry import LabelRegistry
from lseg_ros.media.images import write_image
from lseg_ros.media.overlay import overlay

_ENLARGED = 1000  # pixels of the longer side
_ALPHA = 0.4
_NAMED_SHARE = 0.002  # of the picture: smaller areas are not named


def draw_annotations(labels: Path, photos: Path, out: Path, snap: int = 0) -> int:
    """Write <id>.png for each photograph with its areas in colour and their names.

    See write_masks for `snap`. Return the number of pictures.
    """
    classes = classes_of([read_annotation(file) for file in find_annotations(labels)])
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for path, image, annotation in open_labelled(labels, photos):
        mask = snap_borders(image, rasterise(annotation, classes), snap)
        write_image(out / f'{path.stem}.png', np.asarray(draw_areas(image, mask, classes)))
        count += 1
    return count


def draw_areas(image: np.ndarray, mask: np.ndarray, classes: list[str]) -> Image.Image:
    """Draw the areas of `mask`, indices into `classes`, over uint8 RGB [H, W, 3], enlarged."""
    scale = _ENLARGED / max(mask.shape)
    size = round(mask.shape[1] * scale), round(mask.shape[0] * scale)
    image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    labels = LabelRegistry(include_other=False).replace(classes)  # ids from 1
    coloured = overlay(image, np.minimum(mask, UNLABELLED - 1) + 1, labels, _ALPHA)
    coloured[mask == UNLABELLED] = image[mask == UNLABELLED]
    picture = Image.fromarray(coloured)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for index, name in enumerate(classes):
        for middle in _middles(mask == index):
            draw.text(middle, name, 'white', font, anchor='mm', stroke_width=2, stroke_fill='black')
    return picture


def _middles(area: np.ndarray) -> list[tuple[float, float]]:
    """Return, for each connected part of bool [H, W], x and y of its point farthest inside."""
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(area.astype(np.uint8))
    middles = []
    for part in range(1, count):
        if statistics[part, cv2.CC_STAT_AREA] >= _NAMED_SHARE * area.size:
            framed = np.pad((parts == part).astype(np.uint8), 1)  # names stay inside the picture
            depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            middles.append((float(x), float(y)))
    return middles
