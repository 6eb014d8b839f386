# SPDX-License-Identifier: Apache-2.0
"""Build tables, desks, shelves and cabinets with random dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, stadium
from lseg_lab.rooms.piece import Piece, Top, solid, whole_top
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style


def table(style: Style, label: str = 'table', long: float | None = None) -> Piece:
    """Build a dining table, desk or coffee table: a slab on legs, panels, trestles or a column."""
    rng = style.rng
    height = rng.uniform(0.32, 0.5) if label == 'coffee table' else rng.uniform(0.68, 0.8)
    width = long or rng.uniform(1.0 if label == 'desk' else 0.7, 2.3)
    depth = min(width, rng.uniform(0.5, 1.1))
    if label == 'table' and long is None and rng.random() < 0.3:  # a console table, narrow and high
        width, depth = rng.uniform(0.8, 1.7), rng.uniform(0.3, 0.45)
        height = rng.uniform(0.72, 0.9)
    thickness = rng.uniform(0.018, 0.06)
    roundness = rng.choice([2.0, 2.5, 12.0, 30.0], p=[0.2, 0.05, 0.15, 0.6])
    surface = style.table_top()
    slab = stadium(width, depth, thickness, roundness) if roundness < 20 else box(width, thickness, depth)
    legs = _table_legs(style, width, depth, height - thickness, roundness)
    leg_surface = surface if rng.random() < 0.6 else style.metal()
    items = [solid(label, surface, [slab.at(0, height - thickness, 0)]), solid(label, leg_surface, legs)]
    if rng.random() < 0.08:
        items.append(_tablecloth(style, label, (width, height, depth), roundness))
    if roundness > 3 and rng.random() < (0.4 if label == 'coffee table' else 0.12):
        board = box(width * 0.86, 0.02, depth * 0.8, 0, height * rng.uniform(0.2, 0.4))
        items.append(solid(label, surface, [board]))
    inset = 0.7 if roundness < 3 else 0.95
    return Piece(label, (width, height, depth), tuple(items), whole_top(width * inset, depth * inset, height))


def _tablecloth(style: Style, label: str, size: tuple[float, float, float], roundness: float) -> Item:
    """Build a cloth that covers a table top of this size and hangs down around it."""
    width, height, depth = size
    drop = style.rng.uniform(0.04, 0.35)
    cloth = stadium(width + 0.02, depth + 0.02, drop, roundness)
    return solid(label, style.cloth(), [cloth.at(0, height - drop + 0.004, 0)])


def _table_legs(style: Style, width: float, depth: float, height: float, roundness: float) -> list[Mesh]:
    rng = style.rng
    kind = rng.random()
    if kind < 0.15 or (roundness < 3 and kind < 0.6):
        foot = min(width, depth) * rng.uniform(0.2, 0.4)
        return [cylinder(rng.uniform(0.03, 0.09), height), cylinder(foot, 0.03)]
    if kind > 0.85:
        side = rng.uniform(0.02, 0.05)
        x = width / 2 - rng.uniform(0.05, 0.2)
        panels = [box(side, height, depth * 0.9, sign * x) for sign in (-1, 1)]
        return [*panels, box(2 * x, height * 0.4, side, 0, height * 0.5, -depth * 0.3)]
    thick, inset = rng.uniform(0.03, 0.11), rng.uniform(0.03, 0.1)
    if roundness < 3:
        inset += 0.14 * min(width, depth)
    x, z = width / 2 - inset, depth / 2 - inset
    leg = box(thick, height, thick) if rng.random() < 0.6 else cylinder(thick / 2, height, 10)
    legs = [leg.at(sx * x, 0, sz * z) for sx in (-1, 1) for sz in (-1, 1)]
    if rng.random() < 0.6:
        apron = rng.uniform(0.05, 0.12)
        legs += [box(2 * x, apron, 0.02, 0, height - apron, sz * z) for sz in (-1, 1)]
        legs += [box(0.02, apron, 2 * z, sx * x, height - apron) for sx in (-1, 1)]
    return legs


def pool_table(style: Style) -> Piece:
    """Build a cloth-covered bed with a broad rim on four or six heavy legs or two blocks."""
    rng = style.rng
    width, height, depth = rng.uniform(1.9, 2.7), rng.uniform(0.76, 0.86), rng.uniform(1.1, 1.4)
    rim, apron = rng.uniform(0.08, 0.16), rng.uniform(0.15, 0.3)
    wood = style.wood() if rng.random() < 0.7 else style.paint()
    frame = [box(width, rim * 0.5, rim, 0, height - rim * 0.5, sz * (depth - rim) / 2) for sz in (-1, 1)]
    frame += [box(rim, rim * 0.5, depth, sx * (width - rim) / 2, height - rim * 0.5) for sx in (-1, 1)]
    frame.append(box(width * 0.96, apron, depth * 0.93, 0, height - rim * 0.5 - apron))
    foot = height - rim * 0.5 - apron
    if rng.random() < 0.3:
        frame += [box(0.35, foot, depth * 0.7, sx * width * 0.3) for sx in (-1, 1)]
    else:
        thick = rng.uniform(0.1, 0.24)
        leg = box(thick, foot, thick) if rng.random() < 0.5 else cylinder(thick / 2, foot, 16)
        frame += [
            leg.at(sx * width * 0.38, 0, sz * depth * 0.32)
            for sx in (-1, 0, 1)[:: int(rng.choice([1, 2]))]
            for sz in (-1, 1)
        ]
    cloth = Surface(tint=_CLOTHS[rng.integers(len(_CLOTHS))])
    bed = box(width - 2 * rim, 0.02, depth - 2 * rim, 0, height - rim * 0.5 - 0.001)
    items = (solid('game table', wood, frame), solid('game table', cloth, [bed]))
    return Piece('game table', (width, height, depth), items)


def shelf(style: Style) -> Piece:
    """Build an empty open bookshelf; its tops hold books and boxes."""
    rng = style.rng
    width, height, depth = rng.uniform(0.5, 2.0), rng.uniform(0.7, 2.2), rng.uniform(0.22, 0.42)
    columns = max(1, round(width / rng.uniform(0.4, 0.9)))
    rows = max(2, round(height / rng.uniform(0.28, 0.42)))
    board = rng.uniform(0.015, 0.035)
    uprights = [
        box(board, height, depth, x) for x in np.linspace(-(width - board) / 2, (width - board) / 2, columns + 1)
    ]
    levels = np.linspace(0.03, height - board, rows + 1)
    boards = [box(width, board, depth, 0, y) for y in levels]
    surface = style.board()
    items = [solid('bookshelf', surface, uprights + boards)]
    if rng.random() < 0.7:
        items.append(solid('bookshelf', surface.tinted(0.8), [box(width, height, 0.01, 0, 0, -depth / 2 + 0.005)]))
    bay = (width - board) / columns
    tops = [
        Top(-width / 2 + board / 2 + bay * (column + 0.5), 0.01, bay - 0.05, depth - 0.04, y + board)
        for y in levels[:-1]
        for column in range(columns)
    ]
    return Piece('bookshelf', (width, height, depth), tuple(items), tuple(tops))


_CLOTHS = (
    (0.05, 0.35, 0.2),
    (0.07, 0.25, 0.45),
    (0.45, 0.08, 0.1),
    (0.1, 0.1, 0.11),
    (0.3, 0.15, 0.3),
    (0.5, 0.42, 0.3),
)  # colours of pool tables, sRGB

_CASES = {  # label: ranges of width, height and depth, and choices of (door columns, drawer rows)
    'cabinet': ((0.4, 1.8), (0.6, 1.6), (0.35, 0.55), ((1, 0), (2, 0), (3, 0), (1, 3), (2, 1))),
    'dresser': ((0.7, 1.7), (0.7, 1.3), (0.4, 0.55), ((1, 4), (2, 3), (2, 4), (1, 5), (3, 3))),
    'wardrobe': ((0.8, 2.4), (1.8, 2.3), (0.5, 0.65), ((2, 0), (3, 0), (4, 0), (2, 1))),
    'nightstand': ((0.35, 0.6), (0.4, 0.65), (0.3, 0.45), ((1, 2), (1, 1), (1, 0))),
    'tv stand': ((0.9, 2.0), (0.35, 0.6), (0.35, 0.5), ((3, 0), (2, 1), (2, 2), (4, 0))),
}


def case(style: Style, label: str) -> Piece:
    """Build a cabinet, dresser, wardrobe, nightstand or TV stand: a box with doors and drawers."""
    rng = style.rng
    *ranges, fronts = _CASES[label]
    width, height, depth = (rng.uniform(*span) for span in ranges)
    columns, rows = fronts[rng.integers(len(fronts))]
    surface = style.board()
    foot = rng.choice([0.0, rng.uniform(0.03, 0.15)])
    body = [box(width, height - foot, depth, 0, foot)]
    body += [
        box(0.04, foot, 0.04, sx * (width / 2 - 0.04), 0, sz * (depth / 2 - 0.04))
        for sx in (-1, 1)
        for sz in (-1, 1)
        if foot
    ]
    items = [solid(label, surface, body)]
    front = Front(width, height - foot, columns, rows, foot, depth / 2)
    items += front_panels(style, label, surface, front)
    if rng.random() < 0.4:
        slab = box(width + 0.03, 0.025, depth + 0.03, 0, height)
        items.append(solid(label, style.board(), [slab]))
    return Piece(label, (width, height, depth), tuple(items), whole_top(width * 0.95, depth * 0.9, height + 0.025))


@dataclass(frozen=True)
class Front:
    """The front of a case: its size in metres, columns of doors or drawers, and rows of drawers.

    `y` is the height of its base and `z` its depth.
    """

    width: float
    height: float
    columns: int
    rows: int
    y: float
    z: float

    @property
    def has_drawers(self) -> bool:
        """Return whether this front has drawers, which lie in rows, rather than doors."""
        return self.rows > 1

    def cells(self) -> Iterator[tuple[int, float, float, float, float]]:
        """Yield (column, centre x, base y, width, height) of each door or drawer."""
        rows = max(self.rows, 1)
        width, height = self.width / self.columns, self.height / rows
        for column in range(self.columns):
            for row in range(rows):
                yield (column, (column + 0.5) * width - self.width / 2, self.y + row * height, width, height)


def front_panels(style: Style, label: str, surface: Surface, front: Front) -> list[Item]:
    """Build framed or plain door and drawer fronts, and their handles."""
    rng = style.rng
    gap, framed, handle = rng.uniform(0.004, 0.015), rng.random() < 0.4, int(rng.integers(4))
    panels, frames, handles = [], [], []
    for column, x, y, width, height in front.cells():
        width, height, y = width - 2 * gap, height - 2 * gap, y + gap
        panels.append(box(width, height, 0.018, x, y, front.z + 0.009))
        if framed and min(width, height) > 0.2:
            frames.append(box(width - 0.12, height - 0.12, 0.006, x, y + 0.06, front.z + 0.019))
        aside = 0.0 if front.has_drawers else (-1) ** (column + 1) * (width / 2 - 0.06)
        grip = _handle(handle, front.has_drawers, width)
        handles.append(grip.at(x + aside, y + height / 2, front.z + 0.03))
    panel = surface.tinted(rng.uniform(0.9, 1.08)) if rng.random() < 0.75 else style.board()
    items = [solid(label, panel, panels)]
    if frames:
        items.append(solid(label, panel.tinted(rng.uniform(0.75, 0.93)), frames))
    if handle < 3:
        items.append(solid(label, style.metal(), handles))
    return items


def _handle(kind: int, drawer: bool, width: float) -> Mesh:
    if kind == 0:
        return box(0.03, 0.03, 0.03)
    length = min(0.3 if kind == 1 else 0.12, width * 0.7)
    return box(length, 0.012, 0.02) if drawer else box(0.012, length, 0.02, 0, -length / 2)
