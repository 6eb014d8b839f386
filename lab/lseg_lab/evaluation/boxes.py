# SPDX-License-Identifier: Apache-2.0
"""Score how much of the boxes around things is segmented as these things.

Boxes are quicker to draw than masks, and they show whether a thing is found at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lseg_lab.annotation.box_table import Box, read_box_table
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.images import read_image

BOX_TABLE = 'boxes.tsv'
FOUND = 0.3  # of a box's middle: from this share on, the thing counts as found
MISSED = 0.1  # below this share it counts as missed


@dataclass(frozen=True)
class BoxScore:
    """The scores for one label.

    Attributes:
        label: the label of the things in the boxes.
        shares: by label, its share of the middle of each box, float64 [boxes].
        outside: the share of the pixels of `label` that lie in no box; NaN if there are none.
    """

    label: str
    shares: Mapping[str, np.ndarray]
    outside: float

    def summary(self) -> dict[str, float]:
        """Return the mean share of the label, how many boxes are found or missed, and `outside`."""
        share = self.shares[self.label]
        return {
            'boxes': len(share),
            'share': float(share.mean()),
            'found': float((share >= FOUND).mean()),
            'missed': float((share < MISSED).mean()),
            'outside': self.outside,
        }

    def as_json(self) -> Mapping[str, object]:
        """Return plain numbers for JSON."""
        means = {label: float(share.mean()) for label, share in self.shares.items()}
        return {'label': self.label, **self.summary(), 'labels_in_boxes': means}

    def table(self) -> str:
        """Return the scores, followed by the labels that the boxes contain."""
        lines = [f'{"label":<18}{"boxes":>7}{"share":>8}{f"found>={FOUND}":>12}{f"missed<{MISSED}":>12}{"outside":>9}']
        row = self.summary()
        lines.append(
            f'{self.label:<18}{row["boxes"]:>7}{row["share"]:>8.3f}{row["found"]:>12.3f}'
            f'{row["missed"]:>12.3f}{row["outside"]:>9.3f}'
        )
        lines += ['', 'labels in the boxes']
        means = sorted((-share.mean(), label) for label, share in self.shares.items())
        lines += [f'  {label:<20}{-mean:>6.3f}' for mean, label in means if mean]
        return '\n'.join(lines)


def open_boxes(root: Path, label: str) -> dict[Path, list[Box]]:
    """Return the boxes of `root`/BOX_TABLE by photograph.

    If the table has a column class, other classes than `label` are left out, though their
    photographs are kept. Raise FileNotFoundError if the table or a photograph is missing,
    ValueError if no box is left.
    """
    table = root / BOX_TABLE
    boxes = {
        root / file: [box for box in found if box.kind in ('', label)] for file, found in read_box_table(table).items()
    }
    for photo in boxes:
        if not photo.is_file():
            raise FileNotFoundError(f'{photo} not found, but {table} lists it')
    if not any(boxes.values()):
        raise ValueError(f"{table} contains no boxes of '{label}'")
    return boxes


def score_boxes(
    segmenter: Segmenter,
    labels: Sequence[str],
    label: str,
    photos: Mapping[Path, Sequence[Box]],
    middle: float = 0.7,
    *,
    other: bool = False,
) -> BoxScore:
    """Ask for all `labels` (`name` or `name=prompt|prompt`) at once and compare with the boxes.

    Only the middle of a box is scored, `middle` of its width and height, because its corners often
    show what is around the thing. With `other`, the label for "none of these" is asked as well.
    Raise ValueError if `label` is not among the labels or `middle` not above 0 and at most 1.
    """
    if not 0 < middle <= 1:
        raise ValueError(f'middle {middle} is not a share: use more than 0 and at most 1')
    label_set = LabelRegistry(include_other=other).replace(labels)
    names = {each.name: each.id for each in label_set.classes}
    if label not in names:
        raise ValueError(f"'{label}' is not among the labels {', '.join(names)}")
    prepared = segmenter.prepare(label_set)
    shares: dict[str, list[float]] = {name: [] for name in names}
    claimed = outside = 0
    for photo, boxes in tqdm(photos.items(), 'scoring', unit='image', leave=False):
        ids = segmenter.segment([read_image(photo)], prepared)[0].ids
        for part in _middles(ids, boxes, middle):
            for name, class_id in names.items():
                shares[name].append(float((part == class_id).mean()))
        free = ids == names[label]
        claimed += int(free.sum())
        for box in boxes:
            free[_window(box, 1.0)] = False
        outside += int(free.sum())
    return BoxScore(
        label,
        {name: np.array(values) for name, values in shares.items()},
        outside / claimed if claimed else float('nan'),
    )


def _middles(ids: np.ndarray, boxes: Sequence[Box], middle: float) -> Iterator[np.ndarray]:
    """Yield the middle of each box that covers a pixel of `ids` [H, W]."""
    parts = (ids[_window(box, middle)] for box in boxes)
    return (part for part in parts if part.size)


def _window(box: Box, middle: float) -> tuple[slice, slice]:
    """Return the rows and columns of the middle of a box."""

    def span(low: float, high: float) -> slice:
        margin = (1 - middle) / 2 * (high - low)
        return slice(max(0, round(low + margin)), max(0, round(high - margin)))

    return span(box.top, box.bottom), span(box.left, box.right)
