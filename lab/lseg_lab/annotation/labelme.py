# SPDX-License-Identifier: Apache-2.0
"""Read and write LabelMe files: the labelled polygons of an image, in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lseg_ros.whole_files import write_whole

_VERSION = '5.5.0'  # of LabelMe
_FARTHEST = 1e6  # in pixels from the corner of the image
_DISTORTION = 0.02  # from rounding when an image is reduced


@dataclass(frozen=True)
class Shape:
    """A labelled polygon: `points` is float [N, 2], x and y in pixels of the image."""

    label: str
    points: np.ndarray


@dataclass(frozen=True)
class Annotation:
    """The shapes of one image, from the lowest to the topmost."""

    image: str
    height: int
    width: int
    shapes: tuple[Shape, ...]


def read_annotation(path: Path) -> Annotation:
    """Read a LabelMe file.

    Raise ValueError, naming the file, if it is not one or contains a shape without area.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        shapes = tuple(_shape(entry) for entry in content['shapes'])
        height, width = int(content['imageHeight']), int(content['imageWidth'])
        if min(height, width) < 1:
            raise ValueError(f'the image would have {width}x{height} pixels')
        return Annotation(_text(content, 'imagePath'), height, width, shapes)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: not a usable LabelMe file: {error!r}') from error


def find_annotations(folder: Path) -> list[Path]:
    """Return the LabelMe files of a folder, sorted. Raise FileNotFoundError if there are none."""
    files = sorted(folder.glob('*.json'))
    if not files:
        raise FileNotFoundError(f'{folder} contains no LabelMe files (*.json)')
    return files


def write_annotation(path: Path, annotation: Annotation) -> None:
    """Write a file for LabelMe without the image data, one shape per line."""
    head: dict[str, object] = {
        'version': _VERSION,
        'flags': {},
        'imagePath': annotation.image,
        'imageData': None,
        'imageHeight': annotation.height,
        'imageWidth': annotation.width,
    }
    lines = [f' {json.dumps(key)}: {json.dumps(value)},' for key, value in head.items()]
    shapes = ',\n  '.join(json.dumps(_entry(shape)) for shape in annotation.shapes)
    text = '\n'.join(['{', *lines, f' "shapes": [\n  {shapes}\n ]', '}', ''])
    write_whole(path, text)


def resized(annotation: Annotation, height: int, width: int) -> Annotation:
    """Return the annotation of the same image at another size.

    Raise ValueError if the proportions differ, because it is then a different image.
    """
    scale = np.array([width / annotation.width, height / annotation.height])
    if abs(scale[0] / scale[1] - 1) > _DISTORTION:
        raise ValueError(
            f'{annotation.image} is {width}x{height}, but its labels have the proportions of '
            f'{annotation.width}x{annotation.height}'
        )
    shapes = tuple(Shape(shape.label, shape.points * scale) for shape in annotation.shapes)
    return Annotation(annotation.image, height, width, shapes)


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f'{key} is {value!r}, not a text')
    return value


def _shape(entry: dict[str, Any]) -> Shape:
    label, points = _text(entry, 'label'), np.array(entry['points'], float).reshape(-1, 2)
    if not (np.abs(points) < _FARTHEST).all():
        raise ValueError(f"'{label}' has a point far outside of any image")
    kind = entry.get('shape_type', 'polygon')
    if kind == 'rectangle' and len(points) == 2:
        (left, top), (right, bottom) = points
        points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    elif kind != 'polygon' or len(points) < 3:
        raise ValueError(f"'{label}' is a {kind} of {len(points)} points; draw a polygon or rectangle")
    return Shape(label, points)


def _entry(shape: Shape) -> dict[str, Any]:
    return {
        'label': shape.label,
        'points': np.round(shape.points, 1).tolist(),
        'group_id': None,
        'shape_type': 'polygon',
        'flags': {},
    }
