# SPDX-License-Identifier: Apache-2.0
"""Put objects on furniture, in shelves and on the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lseg_lab.rooms import small_things
from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.piece import Piece, Top
from lseg_lab.rooms.scene import Item
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.style import Style

_MODELS_ON_TOPS = (
    'laptop',
    'computer',
    'book',
    'cup',
    'bottle',
    'vase',
    'flowers',
    'plant',
    'lamp',
    'phone',
    'radio',
    'camera',
    'bowl',
    'teddy bear',
    'fan',
    'clock',
    'printer',
    'toaster',
    'coffee maker',
    'speaker',
    'handbag',
    'box',
)
_ON_FLOORS = (
    'box',
    'backpack',
    'suitcase',
    'handbag',
    'ball',
    'crate',
    'teddy bear',
    'trash can',
    'basket',
    'speaker',
    'book',
    'guitar',
    'cat',
    'fan',
)
_SMALL_SHARE = 0.75  # of the objects on a top, if the room names small classes


class Clutter:
    """Scatters small objects over the pieces of one room."""

    def __init__(
        self, style: Style, stock: Stock, arrangement: Arrangement, density: float, small: Sequence[str] = ()
    ) -> None:
        """Draw objects from `stock`, often of the classes `small`; add them to `arrangement`."""
        self._small = small
        self._style, self._stock, self._arrangement = style, stock, arrangement
        self._rng, self._density = style.rng, density

    def cover(self, piece: Piece, pose: np.ndarray, dining: bool = False) -> None:
        """Put objects on every top of a piece that stands at `pose`."""
        for top in piece.tops:
            if piece.label == 'bookshelf':
                self._fill_bay(top, pose)
            elif piece.label == 'desk' and self._rng.random() < 0.85:
                self._desk(top, pose)
            elif dining and self._rng.random() < 0.6:
                self._laid_table(piece.label, top, pose)
            else:
                self._scatter(piece.label, top, pose)

    def _count(self, top: Top) -> int:
        area = top.width * top.depth
        return int(self._rng.poisson(self._density * min(9.0, 1.5 + 6 * area)))

    def _scatter(self, label: str, top: Top, pose: np.ndarray) -> None:
        if self._rng.random() < 0.12 and label in ('table', 'coffee table', 'dresser'):
            mat = small_things.place_mat(self._style, label)
            self._arrangement.on_top(top, pose, mat, 0.0, 0.0, 0.0)
        for _ in range(self._count(top)):
            self._put(top, pose, self._thing(min(top.width, 0.8)))

    def _put(self, top: Top, pose: np.ndarray, items: list[Item]) -> None:
        if items and _half_width(items) < 0.55 * top.width:
            self._arrangement.on_top(top, pose, items, self._rng.normal(0, 0.6))

    def _thing(self, largest: float) -> list[Item]:
        style = self._style
        draw = self._rng.random()
        if self._small and self._rng.random() < _SMALL_SHARE:
            return self._stock.small(str(self._rng.choice(self._small)))
        if draw < 0.35:
            return self._stock.small(_MODELS_ON_TOPS[self._rng.integers(len(_MODELS_ON_TOPS))])
        makers = (
            small_things.book_pile,
            small_things.papers,
            small_things.crockery,
            small_things.crockery,
            lambda s: small_things.parcel(s, 0.35 * largest),
            small_things.table_lamp,
            small_things.plate,
            lambda s: small_things.leafy_plant(s, s.rng.uniform(0.15, 0.6)),
            lambda s: small_things.book_row(s, s.rng.uniform(0.15, 0.4), 0.22, 0.3),
        )
        return makers[self._rng.integers(len(makers))](style)

    def _desk(self, top: Top, pose: np.ndarray) -> None:
        rng, style, put = self._rng, self._style, self._arrangement.on_top
        seats = 1 if top.width < 1.5 or rng.random() < 0.6 else 2
        for seat in range(seats):
            x = (seat - (seats - 1) / 2) * 0.5 + rng.normal(0, 0.06)
            screens = [small_things.monitor(style) if rng.random() < 0.7 else self._stock.small('computer')]
            if rng.random() < 0.25:
                screens = [self._stock.small('laptop')]
            put(top, pose, screens[0], rng.normal(0, 0.2), x, -0.22)
            if rng.random() < 0.75:
                put(top, pose, small_things.keyboard(style), rng.normal(0, 0.1), x, 0.22)
        for _ in range(self._count(top)):
            self._put(top, pose, self._thing(0.6))

    def _laid_table(self, label: str, top: Top, pose: np.ndarray) -> None:
        rng, style, put = self._rng, self._style, self._arrangement.on_top
        if rng.random() < 0.5:
            put(top, pose, small_things.place_mat(style, label), 0.0, 0.0, 0.0)
        for side in (-0.36, 0.36):
            for x in np.linspace(-0.33, 0.33, max(1, round(top.width / 0.6))):
                if rng.random() < 0.7:
                    put(top, pose, small_things.plate(style), 0.0, x, side)
                if rng.random() < 0.5:
                    put(top, pose, small_things.crockery(style), 0.0, x + 0.1, side * 0.6)
        for _ in range(rng.integers(0, 4)):
            self._put(top, pose, self._thing(0.4))

    def _fill_bay(self, top: Top, pose: np.ndarray) -> None:
        rng, style, put = self._rng, self._style, self._arrangement.on_top
        draw = rng.random()
        if draw < 0.55:
            row = small_things.book_row(style, top.width, top.depth, 0.25)
            put(top, pose, _as_part_of('bookshelf', row), 0.0, 0.0, 0.0)
        elif draw < 0.9:
            for x in np.linspace(-0.3, 0.3, rng.integers(1, 4)):
                self._put_small(top, pose, x)

    def _put_small(self, top: Top, pose: np.ndarray, x: float) -> None:
        style = self._style
        makers = (
            small_things.book_pile,
            small_things.crockery,
            lambda s: small_things.parcel(s, min(0.26, top.width * 0.8)),
            lambda s: small_things.book_row(s, 0.3 * top.width, top.depth, 0.24),
        )
        items = makers[self._rng.integers(len(makers))](style)
        self._arrangement.on_top(top, pose, _as_part_of('bookshelf', items), self._rng.normal(0, 0.1), x, 0.0)

    def strew_floor(self) -> None:
        """Scatter boxes, bags, papers and toys on the floor."""
        rng = self._rng
        for _ in range(rng.poisson(self._density * 2.0)):
            draw = rng.random()
            if draw < 0.5:
                label = _ON_FLOORS[rng.integers(len(_ON_FLOORS))]
                piece = self._stock.piece(label)
                if piece is None or piece.size[1] > 1.2:
                    continue
            else:
                makers = (
                    lambda s: small_things.parcel(s, 0.6),
                    small_things.papers,
                    small_things.book_pile,
                    small_things.soft_heap,
                    lambda s: small_things.leafy_plant(s, s.rng.uniform(0.5, 1.7)),
                )
                items = makers[rng.integers(len(makers))](self._style)
                half = _half_width(items)
                piece = Piece(items[0].label, (2 * half, 0.3, 2 * half), tuple(items))
            if rng.random() < 0.5:
                self._arrangement.against_wall(piece, gap=rng.uniform(0.02, 0.2))
            else:
                self._arrangement.in_the_open(piece)


def _as_part_of(label: str, items: list[Item]) -> list[Item]:
    """Relabel items as the shelf that holds them, as most labelled photographs do."""
    return [replace(item, label=label) for item in items]


def _half_width(items: list[Item]) -> float:
    """Return the largest distance from the origin that the items reach, in metres."""
    reach = 0.0
    for item in items:
        low, high = item.mesh.bounds
        scale = np.linalg.norm(item.matrix[:3, :3], axis=0).max()
        reach = max(reach, float(np.abs([low[0], high[0]]).max() * scale))
    return reach
