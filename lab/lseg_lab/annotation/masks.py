# SPDX-License-Identifier: Apache-2.0
"""Write labelled photographs as a folder that `lseg train` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from lseg_lab.annotation.labelme import Annotation, find_annotations, read_annotation, resized
from lseg_lab.annotation.rasterise import VOID, rasterise, snap_borders
from lseg_ros.media.images import read_image
from lseg_ros.whole_files import write_whole


def open_labelled(labels: Path, photos: Path) -> Iterator[tuple[Path, np.ndarray, Annotation]]:
    """Yield each labelled photograph: its path, uint8 RGB [H, W, 3], and its annotation.

    A photograph may have a different size than the one that was labelled. Raise FileNotFoundError
    if it is missing, ValueError if its proportions differ.
    """
    for file in find_annotations(labels):
        annotation = read_annotation(file)
        path = photos / Path(annotation.image).name
        if not path.is_file():
            raise FileNotFoundError(f'{path} not found, but {file} labels it')
        image = read_image(path)
        height, width = image.shape[:2]
        yield path, image, resized(annotation, height, width)


def classes_of(annotations: Sequence[Annotation]) -> list[str]:
    """Return the label names in use, sorted, without void."""
    return sorted({shape.label for a in annotations for shape in a.shapes} - {VOID})


def write_masks(labels: Path, photos: Path, out: Path, snap: int = 0) -> dict[str, np.ndarray]:
    """Write dataset.json, and <id>.jpg with <id>.mask.png for each photograph.

    Args:
        labels: folder of LabelMe files.
        photos: folder of the photographs, JPEG.
        out: folder to write.
        snap: how far borders may move to reach edges in the image, in pixels.

    Returns:
        The number of pixels in each photograph by class, int64 [photographs].

    """
    classes = classes_of([read_annotation(file) for file in find_annotations(labels)])
    out.mkdir(parents=True, exist_ok=True)
    counts = []
    for path, image, annotation in open_labelled(labels, photos):
        mask = snap_borders(image, rasterise(annotation, classes), snap)
        write_whole(out / f'{path.stem}.jpg', path.read_bytes())
        write_whole(out / f'{path.stem}.mask.png', cv2.imencode('.png', mask)[1].tobytes())
        counts.append(np.bincount(mask.ravel(), minlength=256)[: len(classes)])
    description = json.dumps({'classes': classes, 'snap': snap}, indent=1)
    write_whole(out / 'dataset.json', description)
    return dict(zip(classes, np.stack(counts, axis=1)))
