# SPDX-License-Identifier: Apache-2.0
"""Build small objects: books, papers, boxes, screens, crockery, lamps, bins."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, grid, lathe, merge, panel, quads, tilt, transform
from lseg_lab.rooms.patterns import crumple, random_colour
from lseg_lab.rooms.piece import Piece, solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style


def book_row(style: Style, width: float, depth: float, height: float) -> list[Item]:
    """Build books side by side within `width`, spines towards +z, centred."""
    rng = style.rng
    depth = max(0.08, min(depth, 0.3))
    x, books = -width / 2, []
    filled = width * rng.uniform(0.4, 1.0)
    base = random_colour(rng, 0.2, 0.9)
    alike = rng.random() < 0.25
    while x < -width / 2 + filled:
        thick = rng.uniform(0.012, 0.055)
        tall = min(height, rng.uniform(0.17, 0.32))
        colour = base * rng.uniform(0.9, 1.1) if alike else random_colour(rng, 0.05, 0.95)
        reach = rng.uniform(0.6, 1.0) * depth
        book = box(thick * 0.94, tall, reach, 0, 0, depth / 2 - reach / 2 - 0.02 * rng.random())
        if rng.random() < 0.08:
            book = book.moved(tilt('z', rng.uniform(-0.25, 0.25)))
        books.append(book.at(x + thick / 2, 0, 0).painted(np.clip(colour, 0, 1)))
        x += thick
    return [solid('book', Surface(), books)]


def book_pile(style: Style) -> list[Item]:
    """Build a pile of one to six books."""
    rng = style.rng
    y, books = 0.0, []
    for _ in range(rng.integers(1, 7)):
        thick = rng.uniform(0.01, 0.05)
        book = box(rng.uniform(0.14, 0.24), thick, rng.uniform(0.18, 0.3))
        turned = book.moved(transform(0, y, 0, rng.normal(0, 0.2)))
        books.append(turned.painted(random_colour(rng, 0.05, 0.95)))
        y += thick
    return [solid('book', Surface(), books)]


def papers(style: Style) -> list[Item]:
    """Build loose printed sheets."""
    rng = style.rng
    sheet = quads([[(-0.105, 0, 0.15), (0.105, 0, 0.15), (0.105, 0, -0.15), (-0.105, 0, -0.15)]])
    sheets = [
        sheet.moved(transform(rng.normal(0, 0.08), 0.002 + 0.002 * index, rng.normal(0, 0.08), rng.uniform(-1, 1)))
        for index in range(rng.integers(1, 6))
    ]
    layer = style.textures.pick(rng, 'paper')
    return [solid('paper', Surface(), [mesh.textured(layer) for mesh in sheets])]


def parcel(style: Style, largest: float = 0.5) -> list[Item]:
    """Build a plain or printed closed box."""
    rng = style.rng
    width, height, depth = rng.uniform(0.08, 1.0, 3) * largest
    if rng.random() < 0.6:
        surface = Surface(style.textures.pick(rng, 'cardboard'), 1 / max(width, height, depth))
    else:
        surface = style.plastic()
    return [Item(box(width, height, depth), 'box', surface)]


def monitor(style: Style) -> list[Item]:
    """Build a desktop screen on its foot, facing +z."""
    rng = style.rng
    width = rng.uniform(0.38, 0.62)
    height, lift = width * rng.uniform(0.55, 0.8), rng.uniform(0.06, 0.15)
    frame = [box(width, height, 0.03, 0, lift), box(0.06, lift + 0.1, 0.04, 0, 0, -0.03), cylinder(0.12, 0.015, 14)]
    picture = panel(width - 0.035, height - 0.035).at(0, lift + 0.0175, 0.017)
    layer = style.textures.pick(rng, 'screen')
    shining = Surface(emission=rng.uniform(0.0, 1.2), gloss=0.1)
    return [solid('computer', style.plastic(), frame), Item(picture.textured(layer), 'computer', shining)]


def keyboard(style: Style) -> list[Item]:
    """Build a slab with rows of keys."""
    rows = [box(0.024, 0.01, 0.024, x * 0.029, 0.014, z * 0.029) for x in range(-6, 7) for z in (-2, -1, 0, 1)]
    surface = style.plastic()
    return [
        solid('keyboard', surface, [box(0.42, 0.016, 0.15)]),
        solid('keyboard', surface.tinted(style.rng.uniform(0.6, 1.3)), rows),
    ]


_PROFILES = {  # label: outlines (relative radius and height), ranges of width and height
    'cup': ([(0, 0), (0.8, 0), (1, 1), (0.9, 1), (0.75, 0.1)], (0.07, 0.1), (0.08, 0.13)),
    'bottle': ([(0, 0), (1, 0), (1, 0.6), (0.35, 0.78), (0.3, 1), (0, 1)], (0.06, 0.1), (0.18, 0.34)),
    'bowl': ([(0, 0), (0.5, 0), (1, 1), (0.93, 1), (0.45, 0.12), (0, 0.1)], (0.12, 0.36), (0.05, 0.13)),
    'vase': ([(0, 0), (0.6, 0), (1, 0.35), (0.8, 0.7), (0.4, 0.88), (0.55, 1), (0.4, 0.9)], (0.1, 0.25), (0.15, 0.45)),
    'can': ([(0, 0), (0.95, 0), (1, 0.05), (1, 0.95), (0.9, 1), (0, 0.98)], (0.06, 0.075), (0.1, 0.16)),
}


def crockery(style: Style) -> list[Item]:
    """Build a cup, can, bottle, bowl or vase."""
    rng = style.rng
    name = list(_PROFILES)[rng.integers(len(_PROFILES))]
    outline, widths, heights = _PROFILES[name]
    radius, height = rng.uniform(*widths) / 2, rng.uniform(*heights)
    mesh = lathe([(r * radius, y * height) for r, y in outline], 14)
    label = 'bottle' if name == 'can' else name
    surface = Surface(tint=style.plastic().tint, gloss=rng.choice([0.0, 0.2]))
    return [Item(mesh, label, surface)]


def plate(style: Style) -> list[Item]:
    """Build a dinner plate, sometimes two."""
    radius = style.rng.uniform(0.09, 0.15)
    mesh = lathe([(0, 0.005), (radius * 0.6, 0.005), (radius, 0.02)], 18)
    return [Item(mesh, 'bowl', Surface(tint=style.plastic().tint, gloss=0.1))]


def place_mat(style: Style, label: str) -> list[Item]:
    """Build a cloth that lies on a table and is labelled as the table."""
    rng = style.rng
    width, depth = rng.uniform(0.3, 1.0), rng.uniform(0.25, 0.4)
    return [Item(box(width, 0.004, depth), label, style.cloth())]


def table_lamp(style: Style) -> list[Item]:
    """Build a foot and a shade, lit or not."""
    rng = style.rng
    shade_low, shade_high = rng.uniform(0.1, 0.2), rng.uniform(0.06, 0.16)
    stem, shade = rng.uniform(0.18, 0.4), rng.uniform(0.14, 0.28)
    foot = lathe(
        [(0, 0), (0.08, 0), (0.07, 0.02), (rng.uniform(0.01, 0.07), stem / 2), (0.012, stem), (0.012, stem + 0.05)], 14
    )
    cover = lathe([(shade_low, stem), (shade_high, stem + shade)], 18)
    return [Item(foot, 'lamp', style.paint()), Item(cover, 'lamp', _shade_surface(style))]


def floor_lamp(style: Style) -> Piece:
    """Build a standing lamp with a shade, or a bowl that lights the ceiling."""
    rng = style.rng
    height, wide, narrow = rng.uniform(1.4, 1.85), rng.uniform(0.12, 0.24), rng.uniform(0.08, 0.2)
    shade = rng.uniform(0.15, 0.35)
    stand = [cylinder(0.012, height - shade, 8), cylinder(rng.uniform(0.12, 0.17), 0.025)]
    rim = [(wide, height - shade), (narrow, height)]
    if rng.random() < 0.3:
        rim = [(0.02, height - 0.12), (0.16, height)]
    items = (solid('lamp', style.metal(), stand), Item(lathe(rim, 20), 'lamp', _shade_surface(style)))
    return Piece('lamp', (0.45, height, 0.45), items)


def _shade_surface(style: Style) -> Surface:
    lit = style.rng.random() < 0.5
    tint = np.clip(np.array([0.95, 0.88, 0.75]) * style.rng.uniform(0.6, 1.05), 0, 1)
    return Surface(tint=tuple(tint), emission=style.rng.uniform(1.5, 7) if lit else 0.0)


def leafy_plant(style: Style, height: float) -> list[Item]:
    """Build a pot with long curved leaves."""
    rng = style.rng
    pot_height = height * rng.uniform(0.15, 0.35)
    radius = pot_height * rng.uniform(0.4, 0.7)
    pot = lathe(
        [(0, 0), (radius * 0.75, 0), (radius, pot_height), (radius * 0.85, pot_height), (0, pot_height * 0.9)], 14
    )
    leaf_width = height * rng.uniform(0.02, 0.09)
    leaves = [
        _leaf(rng, height - pot_height, leaf_width).moved(
            transform(0, pot_height * 0.9, 0, rng.uniform(0, 2 * math.pi))
        )
        for _ in range(rng.integers(10, 34))
    ]
    green = np.array([rng.uniform(0.15, 0.45), rng.uniform(0.3, 0.6), rng.uniform(0.1, 0.3)])
    return [Item(pot, 'plant', style.paint()), solid('plant', Surface(tint=tuple(green)), leaves)]


def _leaf(rng: np.random.Generator, length: float, width: float) -> Mesh:
    length *= rng.uniform(0.6, 1.1)
    spread, droop = rng.uniform(0.1, 0.9), rng.uniform(0.0, 0.8)
    along = np.linspace(0, 1, 6)
    out, up = length * spread * along, length * (along - droop * along**2)
    half = width * np.sin(np.pi * np.clip(along * 0.95 + 0.03, 0, 1))
    edges = [np.stack([sign * half, up, out], axis=1) for sign in (-1, 1)]
    blade = np.stack(edges, axis=1)
    shade = rng.uniform(0.6, 1.3)
    return merge([quads(np.stack([blade[:-1, 0], blade[:-1, 1], blade[1:, 1], blade[1:, 0]], 1))]).painted(
        [shade, shade, shade]
    )


def soft_heap(style: Style) -> list[Item]:
    """Build a heap of clothes or a blanket; it is labelled `towel`."""
    rng = style.rng
    width, depth, height = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.4), rng.uniform(0.05, 0.14)
    x, z = np.meshgrid(np.linspace(-1, 1, 16), np.linspace(1, -1, 16))
    hill = np.clip(1.2 - np.hypot(x, z), 0, 1) ** 0.5
    y = height * hill * (1 + 0.35 * crumple(rng, 16, 16, 1.6))
    spread = 1 + 0.12 * crumple(rng, 16, 16, 2.2)
    sheet = grid(np.stack([x * spread * width / 2, np.maximum(y, 0.004), z * spread * depth / 2], axis=2))
    return [Item(sheet, 'towel', style.cloth())]


def trash_can(style: Style) -> Piece:
    """Build a round or square bin: an open bucket, with or without a bag, or one with a lid."""
    rng = style.rng
    height = rng.uniform(0.25, 0.75)
    top = height * rng.uniform(0.25, 0.45)
    foot = top * rng.uniform(0.7, 1.0)
    segments = 4 if rng.random() < 0.35 else 20
    can = style.metal() if rng.random() < 0.35 else style.plastic()
    inner = [(top, height), (top * 0.93, height), (foot * 0.9, 0.03), (0, 0.03)]
    meshes = [lathe([(0, 0), (foot, 0), (top, height * 0.98), *inner], segments)]
    items = [solid('trash can', can, _squared(meshes, segments))]
    draw = rng.random()
    if draw < 0.45:
        lid = lathe(
            [
                (top * 1.03, height),
                (top * 1.03, height + 0.03),
                (top * 0.6, height + rng.uniform(0.03, 0.12)),
                (0, height + 0.1),
            ],
            segments,
        )
        cover = can if rng.random() < 0.5 else style.plastic()
        items.append(solid('trash can', cover, _squared([lid], segments)))
    elif draw < 0.7:
        bag = lathe(
            [(top * 1.04, height * 0.85), (top * 1.02, height + 0.01), (top * 0.8, height - 0.05), (0, height * 0.4)],
            segments,
        )
        shade = float(rng.choice([0.05, 0.7, 0.9]))
        items.append(solid('trash can', Surface(tint=(shade,) * 3), _squared([bag], segments)))
    side = top * (math.sqrt(2) if segments == 4 else 2)
    return Piece('trash can', (side, height, side), tuple(items))


def _squared(meshes: list[Mesh], segments: int) -> list[Mesh]:
    """Turn four-sided solids of revolution so that a side faces the front."""
    if segments != 4:
        return meshes
    return [mesh.moved(transform(turn=math.pi / 4)) for mesh in meshes]
