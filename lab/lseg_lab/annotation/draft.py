# SPDX-License-Identifier: Apache-2.0
"""Draft labels for photographs from the model's prediction and known boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from lseg_lab.annotation.box_table import read_box_table
from lseg_lab.annotation.labelme import Annotation, Shape, write_annotation
from lseg_ros.labels.registry import LabelRegistry
from lseg_ros.media.images import read_image

if TYPE_CHECKING:
    from lseg_ros.core.segmenter import PreparedLabels, Segmenter

DRAFT_LABELS = (
    'floor', 'wall', 'ceiling', 'door', 'window', 'curtain', 'cabinet', 'shelf', 'counter', 'table',
    'chair', 'sofa', 'bed', 'refrigerator', 'stove', 'sink', 'stairs', 'rug', 'person', 'lamp',
    'picture', 'mirror', 'plant',
)  # fmt: skip
# Classes of the boxes by the lab's names; handles are too small to be areas.
BOX_LABELS = {'door': 'door', 'cabinet door': 'cabinet', 'refrigerator door': 'refrigerator'}

_LEAST_SHARE = 0.004  # of the photograph: smaller areas are merged into their surroundings
_TOLERANCE = 2.0  # pixels: largest distance of a polygon from the border of its area


def read_boxes(path: Path) -> dict[str, list[Shape]]:
    """Read boxes by file name: a table with columns file, class, left, top, right and bottom.

    Boxes of classes without a label are skipped. Raise ValueError if a column is missing.
    """
    shapes = defaultdict(list)
    for file, boxes in read_box_table(path).items():
        for box in boxes:
            if not box.kind:
                raise ValueError(f'{path} has no column class')
            if box.kind in BOX_LABELS:
                left, top, right, bottom = box.left, box.top, box.right, box.bottom
                corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
                shapes[file].append(Shape(BOX_LABELS[box.kind], np.array(corners)))
    return dict(shapes)


def areas(ids: np.ndarray, names: dict[int, str]) -> list[Shape]:
    """Return polygons of the connected areas of uint8 [H, W], the largest first.

    Holes are filled: areas inside them are smaller, so they come later and cover the filling.
    """
    found = []
    for class_id, name in names.items():
        outlines, _ = cv2.findContours((ids == class_id).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for outline in outlines:
            polygon = cv2.approxPolyDP(outline, _TOLERANCE, closed=True)[:, 0]
            if len(polygon) >= 3 and cv2.contourArea(outline) >= _LEAST_SHARE * ids.size:
                # OpenCV counts from the middle of the first pixel, LabelMe from its corner.
                found.append((cv2.contourArea(outline), Shape(name, polygon + 0.5)))
    return [shape for _, shape in sorted(found, key=lambda pair: -pair[0])]


def write_drafts(
    photos: Iterable[Path],
    out: Path,
    segmenter: Segmenter,
    labels: Sequence[str] = DRAFT_LABELS,
    boxes: dict[str, list[Shape]] | None = None,
) -> int:
    """Write <id>.json for each photograph that has none in `out`; return how many were written.

    Existing files are not changed, because someone may have edited them.
    """
    prepared = segmenter.prepare(LabelRegistry().replace(labels))
    missing = [p for p in photos if not (out / f'{p.stem}.json').exists()]
    out.mkdir(parents=True, exist_ok=True)
    for photo in tqdm(missing, 'drafting', unit='image', leave=False):
        annotation = _draft(photo, segmenter, prepared, (boxes or {}).get(photo.name, []))
        write_annotation(out / f'{photo.stem}.json', annotation)
    return len(missing)


def _draft(photo: Path, segmenter: Segmenter, prepared: PreparedLabels, boxes: list[Shape]) -> Annotation:
    image = read_image(photo)
    ids = segmenter.segment([image], prepared)[0].ids
    names = {label.id: label.name for label in prepared.labels.classes if label.id}
    height, width = ids.shape
    return Annotation(photo.name, height, width, (*areas(ids, names), *boxes))
