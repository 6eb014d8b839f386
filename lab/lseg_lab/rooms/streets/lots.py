# SPDX-License-Identifier: Apache-2.0
"""Fill the lots beside a street with houses, gardens, walls, trees and gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.piece import Piece
from lseg_lab.rooms.scene import Surface
from lseg_lab.rooms.streets import facades, vegetation
from lseg_lab.rooms.streets.fixtures import FENCES, fence, fence_surface
from lseg_lab.rooms.streets.road import END, START, Side, Street
from lseg_lab.rooms.streets.site import Site, ground_surface


@dataclass(frozen=True)
class Character:
    """What lines a street: the share of each use of lots, and the houses' dimensions."""

    uses: tuple[float, float, float, float]  # house at the pavement, house in a garden, green, gap
    floors: tuple[int, int]
    width: tuple[float, float]
    shops: float  # share of houses with shops


CHARACTERS = {
    'centre': Character((0.9, 0.02, 0.03, 0.05), (2, 6), (6, 18), 0.5),
    'terrace': Character((0.55, 0.3, 0.08, 0.07), (2, 4), (5, 10), 0.1),
    'suburb': Character((0.05, 0.7, 0.17, 0.08), (1, 3), (8, 15), 0.02),
    'outskirts': Character((0.15, 0.25, 0.45, 0.15), (1, 4), (10, 24), 0.1),
    'green': Character((0.0, 0.08, 0.87, 0.05), (1, 3), (10, 24), 0.0),
}


_MODELLED = 0.3  # share of buildings taken from the models, if the stock has any
_BUILDINGS = ('building',) * 8 + ('gas station', 'parking garage', 'collapsed building', 'water tower')


def random_characters(rng: np.random.Generator) -> list[Character]:
    """Draw the character of each side; mostly both have the same."""
    names = list(CHARACTERS)
    both = rng.choice(names, 2, p=[0.32, 0.24, 0.22, 0.12, 0.1])
    return [CHARACTERS[str(name)] for name in (both if rng.random() < 0.4 else both[[0, 0]])]


def fill(site: Site, street: Street, side: Side, character: Character) -> None:
    """Fill one side of the street."""
    rng, s = site.rng, START
    front = side.sign * street.front(side)
    row = facades.random_house(site.style, 8, int(rng.integers(*character.floors)), False, True)
    alike = rng.random() < 0.3  # a terrace of identical houses
    kind = str(rng.choice([*FENCES, 'hedge', 'none']))
    surface = fence_surface(site.style, kind)
    while s < END:
        width = row.width if alike else rng.uniform(*character.width)
        use = int(rng.choice(4, p=character.uses))
        model = site.stock.piece(str(rng.choice(_BUILDINGS))) if use < 2 and rng.random() < _MODELLED else None
        if model is not None:
            width = model.size[0] + rng.uniform(0.5, 4.0)
        lot = Lot(site, side, s + width / 2, width, front, street.kerb)
        if model is not None:
            lot.model(model, rng.uniform(0.3, 2.0) if use == 0 else rng.uniform(3, 9))
        elif use < 2:
            floors = int(rng.integers(character.floors[0], character.floors[1] + 1))
            near = abs(s) < 45
            shop = use == 0 and rng.random() < character.shops
            house = row if alike else facades.random_house(site.style, width, floors, shop, near)
            setback = rng.uniform(3, 9) if use == 1 else 0.0
            lot.house(house, setback, rng.uniform(0.7, 0.95) if use == 1 else 1.0)
        if use in (1, 2):
            lot.garden(
                'grass' if use == 2 else str(rng.choice(['grass', 'paving', 'gravel'], p=[0.65, 0.25, 0.1])), use == 2
            )
            if rng.random() < 0.2:
                kind = str(rng.choice([*FENCES, 'hedge', 'none']))
                surface = fence_surface(site.style, kind)
            if kind == 'hedge':
                lot.hedge()
            elif kind != 'none' and (use == 1 or rng.random() < 0.6):
                lot.fence(kind, surface)
        if use == 3:
            lot.opening()
        s += width


@dataclass(frozen=True, eq=False)
class Lot:
    """A lot beside the street: `s` and `width` are its middle and extent along it, `front` a t."""

    site: Site
    side: Side
    s: float
    width: float
    front: float
    y: float

    def _out(self, metres: float) -> float:
        return self.front + self.side.sign * metres

    def house(self, house: facades.House, setback: float, share: float) -> None:
        """Build a house on this share of the lot's width; with 1 it touches its neighbours."""
        site = self.site
        scale = np.diag([self.width * share / house.width, 1.0, 1.0, 1.0])
        pose = site.axis.facing(self.s, self._out(setback), self.side.sign, self.y)
        site.add(facades.build(site.style, house), pose @ scale)
        site.take(self.s, self._out(setback + 6), self.width / 2, 6)

    def model(self, piece: Piece, setback: float) -> None:
        """Place the model of a building this far behind the front."""
        site, depth = self.site, piece.size[2]
        pose = site.axis.facing(self.s, self._out(setback + depth / 2), self.side.sign, self.y - 0.02)
        site.add(piece.items, pose)
        site.take(self.s, self._out(setback + depth / 2), piece.size[0] / 2, depth / 2)
        if setback < 3:
            self.garden('paving', False)

    def garden(self, kind: str, wild: bool) -> None:
        """Lay ground with this kind of texture, and plant trees and bushes."""
        site, rng = self.site, self.site.rng
        half, label = self.width / 2, {'paving': 'pavement'}.get(kind, kind)
        strip = site.axis.strip(self.s - half, self.s + half, self.front, self._out(30), self.y - 0.01)
        site.cover(label, ground_surface(site.style, kind), strip)
        for _ in range(rng.integers(1, 5) if wild else rng.integers(0, 3)):
            site.plant_tree(self.s + rng.uniform(-half, half), self._out(rng.uniform(1.5, 16 if wild else 3)), self.y)
        for _ in range(rng.integers(0, 4)):
            site.plant_bush(self.s + rng.uniform(-half, half), self._out(rng.uniform(0.8, 6 if wild else 2.5)), self.y)

    def hedge(self) -> None:
        """Plant a hedge along the front."""
        rng = self.site.rng
        height = rng.uniform(0.6, 2.0)
        items = vegetation.hedge(self.site.style, self.width * 0.98, height, rng.uniform(0.4, 0.9))
        self.site.add(items, self.site.axis.facing(self.s, self._out(0.5), self.side.sign, self.y))
        self.site.take(self.s, self._out(0.5), self.width / 2, 0.5)

    def fence(self, kind: str, surface: Surface) -> None:
        """Build a fence or wall along the front, sometimes with an opening."""
        site, rng = self.site, self.site.rng
        height = rng.uniform(0.6, 1.9)
        length = self.width * (1.0 if rng.random() < 0.7 else rng.uniform(0.6, 0.85))
        count = max(1, round(length / 2.5))
        for index in range(count):
            s = self.s - self.width / 2 + (index + 0.5) * length / count
            pose = site.axis.facing(s, self._out(0.15), self.side.sign, self.y)
            site.add(fence(site.style, kind, length / count, height, surface), pose)
        site.take(self.s, self._out(0.15), self.width / 2, 0.3)

    def opening(self) -> None:
        """Lay a side street or drive."""
        site, rng, half = self.site, self.site.rng, self.width / 2
        label, kind = ('road', 'asphalt') if rng.random() < 0.6 else ('pavement', 'paving')
        strip = site.axis.strip(self.s - half, self.s + half, self.front, self._out(60), self.y - 0.005)
        site.cover(label, ground_surface(site.style, kind), strip)


def close_ends(site: Site) -> None:
    """Put houses or trees across both ends of the street."""
    rng = site.rng
    for s, turn in ((END + 8, math.pi), (START - 8, 0.0)):
        if rng.random() < 0.35:
            for _ in range(rng.integers(4, 12)):
                site.plant_tree(s, rng.uniform(-25, 25), 0.0, (0.8, 1.5))
            continue
        t = -32.0
        while t < 32:
            width = rng.uniform(9, 20)
            house = facades.random_house(site.style, width, int(rng.integers(1, 5)), False, False)
            site.add(facades.build(site.style, house), site.axis.frame(s, t + width / 2, 0.0, turn))
            t += width
