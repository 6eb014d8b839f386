# SPDX-License-Identifier: Apache-2.0
"""Tables of boxes around things in photographs."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Box:
    """A box in pixels of its photograph; `kind` is what it surrounds, '' if the table omits it."""

    kind: str
    left: float
    top: float
    right: float
    bottom: float


def read_box_table(path: Path) -> dict[str, list[Box]]:
    """Read boxes by file name.

    The table is tab-separated with the columns file, left, top, right, bottom and, if it lists
    several kinds of things, class. Raise ValueError, naming the row, if an edge is missing.
    """
    boxes = defaultdict(list)
    with path.open(encoding='utf-8', newline='') as table:
        for row in csv.DictReader(table, delimiter='\t'):
            try:
                edges = (float(row[key]) for key in ('left', 'top', 'right', 'bottom'))
                boxes[row['file']].append(Box(row.get('class', ''), *edges))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f'{path}: {row} is not a box: {error!r}') from error
    return dict(boxes)
