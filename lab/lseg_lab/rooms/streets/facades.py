# SPDX-License-Identifier: Apache-2.0
"""Build houses: walls, windows, doors, shops and roofs. Their fronts are at z = 0 and face +z."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, merge, panel, quads, transform, triple
from lseg_lab.rooms.patterns import paint_colour, random_colour
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_ROOFS = ('flat', 'along', 'across', 'hipped')


@dataclass(frozen=True, eq=False)
class House:
    """The dimensions and materials of a house; lengths in metres."""

    width: float
    depth: float
    floors: int
    storey: float
    base: float  # height of the ground floor
    roof: str
    shop: bool
    wall: Surface
    trim: Surface
    bay: float  # distance between windows
    window: tuple[float, float]  # width and height
    detailed: bool  # whether windows, doors and shop fronts have classes of their own

    @property
    def eaves(self) -> float:
        """Return the height of the walls."""
        return self.base + (self.floors - 1) * self.storey


def wall_surface(style: Style) -> Surface:
    """Draw bricks, stone, render or panels for outdoor walls."""
    rng, textures = style.rng, style.textures
    if rng.random() < 0.35:
        tint = paint_colour(rng) if rng.random() < 0.7 else random_colour(rng, 0.35, 0.95)
        return Surface(textures.pick(rng, 'plaster'), rng.uniform(0.2, 0.6), triple(tint))
    tint = rng.uniform(0.7, 1.15) * (1 + rng.normal(0, 0.06, 3))
    kind = 'brick' if rng.random() < 0.1 else 'masonry'
    return Surface(textures.pick(rng, kind), rng.uniform(0.24, 0.45), triple(np.clip(tint, 0.3, 1.3)))


def random_house(style: Style, width: float, floors: int, shop: bool, detailed: bool) -> House:
    """Draw a house of this width and number of floors."""
    rng = style.rng
    storey = rng.uniform(2.6, 3.5)
    trim = Surface(tint=triple(paint_colour(rng) if rng.random() < 0.7 else random_colour(rng, 0.1, 0.8)))
    size = rng.uniform(0.8, 1.5), storey * rng.uniform(0.42, 0.66)
    roof = str(rng.choice(_ROOFS, p=[0.35, 0.4, 0.1, 0.15])) if floors < 6 else 'flat'
    base = rng.uniform(3.2, 4.4) if shop else storey * rng.uniform(1.0, 1.2)
    bay = size[0] + rng.uniform(0.5, 2.0)
    wall = wall_surface(style)
    return House(width, rng.uniform(7, 13), floors, storey, base, roof, shop, wall, trim, bay, size, detailed)


def build(style: Style, house: House) -> list[Item]:
    """Build the house on y = 0."""
    w, d, eaves = house.width, house.depth, house.eaves
    items = [solid('building', house.wall, [box(w, eaves + 0.3, d, 0, -0.3, -d / 2)])]
    items += [*_roof(style, house), *_ground_floor(style, house), *_upper_windows(style, house)]
    items += _ornaments(style, house)
    return items


def _label(house: House, name: str) -> str:
    return name if house.detailed else 'building'


def _columns(house: House) -> np.ndarray:
    count = max(1, int((house.width - 0.4) / house.bay))
    return (np.arange(count) - (count - 1) / 2) * (house.width - 0.4) / count


def _upper_windows(style: Style, house: House) -> list[Item]:
    """Build the windows above the ground floor, with sills and frames, and some at the sides."""
    rng = style.rng
    layer, (width, height) = style.textures.pick(rng, 'casement'), house.window
    other = style.textures.pick(rng, 'casement')
    window, sill = panel(width, height), box(width + 0.2, 0.08, 0.16, 0, -0.08, 0)
    framed = rng.random() < 0.4
    panes, frames = [], []
    for floor in range(1, house.floors):
        y = house.base + (floor - 1) * house.storey + (house.storey - height) * 0.55
        for x in _columns(house):
            kind = layer if rng.random() < 0.75 else other
            panes.append(window.at(x, y, 0.015).textured(kind))
            frames.append(sill.at(x, y, 0))
            if framed:
                frames.append(box(width + 0.3, 0.14, 0.1, x, y + height))
                frames += [box(0.13, height, 0.08, x + side * (width / 2 + 0.06), y) for side in (-1, 1)]
        for side in (-1, 1):
            if rng.random() < 0.5:
                z = -house.depth * rng.uniform(0.25, 0.75)
                turned = transform(side * (house.width / 2 + 0.015), y, z, side * math.pi / 2)
                panes.append(window.moved(turned).textured(layer))
    if not panes:
        return []
    shine = Surface(gloss=0.2)
    return [solid(_label(house, 'building window'), shine, panes), solid('building', house.trim, frames)]


def _ground_floor(style: Style, house: House) -> list[Item]:
    if house.shop:
        return _shop(style, house)
    rng = style.rng
    columns = _columns(house)
    entrance = int(rng.integers(len(columns)))
    width, height = house.window
    panes, frames = [], []
    for index, x in enumerate(columns):
        if index == entrance:
            continue
        panes.append(panel(width, height).at(x, 0.9, 0.015).textured(style.textures.pick(rng, 'casement')))
        frames.append(box(width + 0.2, 0.08, 0.16, x, 0.82))
    wide = rng.uniform(0.9, 1.3)
    door = panel(wide, rng.uniform(2.0, 2.3)).at(columns[entrance], 0.1, 0.02)
    door = door.textured(style.textures.pick(rng, 'front door'))
    frames.append(box(wide + 0.3, 0.12, 0.3, columns[entrance], 2.35))
    frames.append(box(wide + 0.3, 0.12, 0.4, columns[entrance], -0.02))
    if rng.random() < 0.3:  # a plinth
        frames.append(box(house.width + 0.04, rng.uniform(0.3, 0.7), 0.02, 0, 0, 0.004))
    items = [Item(door, _label(house, 'front door')), solid('building', house.trim, frames)]
    if panes:
        items.append(solid(_label(house, 'building window'), Surface(gloss=0.2), panes))
    return items


def _shop(style: Style, house: House) -> list[Item]:
    """Build shop windows below a name board, sometimes with an awning."""
    rng, textures = style.rng, style.textures
    count = max(1, round(house.width / rng.uniform(4, 8)))
    wide = (house.width - 0.5) / count
    glass, boards, awnings = [], [], []
    for index in range(count):
        x = (index - (count - 1) / 2) * wide
        glass.append(panel(wide - 0.3, house.base - 1.0).at(x, 0.05, 0.02).textured(textures.pick(rng, 'shop window')))
        board = box(wide - 0.2, 0.6, 0.12, x, house.base - 0.85, 0.06)
        boards.append(board.textured(textures.pick(rng, 'lettering')))
        if rng.random() < 0.15:
            y, out, half = house.base - 0.6, rng.uniform(0.6, 1.3), wide / 2 - 0.2
            slope = [(x - half, y - 0.5, out), (x + half, y - 0.5, out), (x + half, y, 0.1), (x - half, y, 0.1)]
            awnings.append(quads([slope]).painted(random_colour(rng, 0.2, 1.0)))
            awnings.append(panel(2 * half, 0.2).at(x, y - 0.7, out).painted(random_colour(rng, 0.3, 1.0)))
    items = [
        solid(_label(house, 'shop window'), Surface(gloss=0.25, emission=float(rng.choice([0.0, 0.3]))), glass),
        solid('building', Surface(), boards),
    ]
    return items + ([solid(_label(house, 'awning'), Surface(), awnings)] if awnings else [])


def _roof(style: Style, house: House) -> list[Item]:
    rng = style.rng
    tint = rng.uniform(0.6, 1.2)
    tiles = Surface(style.textures.pick(rng, 'roof tiles'), rng.uniform(0.25, 0.4), (tint, tint, tint))
    if house.roof == 'flat':
        cornice = box(house.width + 0.1, rng.uniform(0.25, 0.7), 0.3, 0, house.eaves - 0.1, 0.0)
        ledge = box(house.width, 0.5, house.depth, 0, house.eaves, -house.depth / 2 - 0.05)
        return [solid('building', house.trim, [cornice]), solid('building', house.wall, [ledge])]
    faces, gables = _slopes(rng, house)
    items = [solid('building', tiles, [quads(faces)]), solid('building', house.wall, [quads(gables)])]
    top = max(corner[1] for face in faces for corner in face)
    chimneys = [
        box(0.8, rng.uniform(1.0, 1.8), 0.6, side * house.width * 0.38, top - 0.7, -house.depth * 0.5)
        for side in (-1, 1)
        if rng.random() < 0.5
    ]
    return items + ([solid('building', house.wall, chimneys)] if chimneys else [])


_Faces = list[list[tuple[float, float, float]]]


def _slopes(rng: np.random.Generator, house: House) -> tuple[_Faces, _Faces]:
    """Return the faces of a pitched roof and of the walls below it."""
    over, y, d = 0.35, house.eaves, house.depth
    x0, x1, z0, z1 = -house.width / 2 - 0.05, house.width / 2 + 0.05, over, -d - over
    if house.roof == 'across':
        top, x0, x1 = y + (x1 - x0) / 2 * rng.uniform(0.6, 1.1), x0 - 0.25, x1 + 0.25
        ridge = [(0.0, top, z0), (0.0, top, z1)]
        faces = [[(x0, y, z0), ridge[0], ridge[1], (x0, y, z1)], [(x1, y, z1), ridge[1], ridge[0], (x1, y, z0)]]
        walls = [[(x0 + 0.3, y, z), (x1 - 0.3, y, z), (0.0, top - 0.3, z), (0.0, top - 0.3, z)] for z in (0.0, -d)]
        return faces, walls
    top = y + d / 2 * rng.uniform(0.45, 1.0)
    cut = min(d / 2, house.width * 0.35) if house.roof == 'hipped' else 0.0
    a, b = (x0 + cut, top, -d / 2), (x1 - cut, top, -d / 2)
    faces = [[(x0, y, z0), (x1, y, z0), b, a], [(x1, y, z1), (x0, y, z1), a, b]]
    ends = [[(x0, y, z1), (x0, y, z0), a, a], [(x1, y, z0), (x1, y, z1), b, b]]
    if house.roof == 'hipped':
        return faces + ends, [[(0.0, y, 0.0)] * 4]
    return faces, ends


def _ornaments(style: Style, house: House) -> list[Item]:
    """Build drainpipes, bands between the floors and balconies."""
    rng = style.rng
    parts: list[Mesh] = []
    if rng.random() < 0.5:
        parts.append(cylinder(0.05, house.eaves, 8).at(house.width / 2 - 0.15, 0, 0.07))
    if rng.random() < 0.4 and house.floors > 1:
        parts += [
            box(house.width, 0.15, 0.12, 0, house.base + level * house.storey - 0.2)
            for level in range(house.floors - 1)
        ]
    if rng.random() < 0.15 and house.floors > 2:
        for level in range(house.floors - 1):
            x, y = float(_columns(house)[0]), house.base + level * house.storey
            parts.append(box(2.2, 0.14, 1.1, x, y, 0.5))
            parts += [box(2.2, 0.05, 0.05, x, y + 1.0, 1.0), box(2.2, 0.05, 0.05, x, y + 0.55, 1.0)]
            parts += [box(0.03, 1.0, 0.03, x + step, y, 1.0) for step in np.linspace(-1.05, 1.05, 12)]
    return [solid('building', house.trim, [merge(parts)])] if parts else []
