# SPDX-License-Identifier: Apache-2.0
"""Build wall fittings: doors, windows, blinds, curtains, pictures, mirrors and sockets."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, grid, merge, panel, tilt, transform
from lseg_lab.rooms.patterns import random_colour
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.plan import WALL_THICKNESS, Opening
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style


def frame_around(hole: Opening, width: float, depth: float, sill: bool) -> Mesh:
    """Build the architrave of a hole, centred on x = 0 with its base at the hole's y = 0."""
    w, h = hole.width, hole.height
    parts = [box(width, h + width, depth, side * (w / 2 + width / 2), 0, depth / 2) for side in (-1, 1)]
    parts.append(box(w, width, depth, 0, h, depth / 2))
    if sill:
        parts.append(box(w + 2 * width, 0.03, depth + 0.06, 0, -0.03, depth / 2 + 0.03))
    return merge(parts)


def door_leaf(style: Style, width: float, height: float, surface: Surface) -> list[Item]:
    """Build a door leaf from its hinge at x = 0 to x = width, in the plane z = 0."""
    rng = style.rng
    leaf = [box(width, height, 0.04, width / 2, 0, 0)]
    kind = rng.integers(6)
    items = []
    if kind in (2, 3):
        shade = surface.tinted(rng.uniform(0.78, 0.95))
        items.append(solid('door', shade, _door_panels(rng, width, height)))
    elif kind > 3:
        items.append(solid('door', _door_glass(style), _door_panes(rng, width, height)))
    items.append(solid('door', surface, leaf))
    grip = [box(0.11, 0.018, 0.02, width - 0.11, 1.02, side * 0.06) for side in (-1, 1)]
    grip += [box(0.04, 0.16, 0.01, width - 0.06, 0.95, side * 0.024) for side in (-1, 1)]
    items.append(solid('door', style.metal(), grip))
    return items


def _door_surface(style: Style) -> Surface:
    if style.rng.random() < 0.5:
        white = style.rng.uniform(0.75, 0.97) * np.array([1, 0.98, 0.95])
        return Surface(tint=tuple(white), gloss=style.rng.choice([0.0, 0.05]))
    return style.board()


def _door_glass(style: Style) -> Surface:
    """Draw frosted glass, dark glass, or clear glass with something bright behind it."""
    rng = style.rng
    draw = rng.random()
    if draw < 0.45:
        return Surface(tint=(0.75, 0.8, 0.82), gloss=0.3, emission=rng.uniform(0, 0.6))
    if draw < 0.7:
        return Surface(tint=tuple(rng.uniform(0.04, 0.3) * np.ones(3)), gloss=0.4)
    layer = style.textures.pick(rng, 'outdoors', 'plaster')
    tint = (rng.uniform(0.4, 1.0),) * 3
    return Surface(layer, rng.uniform(0.2, 0.5), tint, 0.3, rng.uniform(0, 1.2))


def _door_panes(rng: np.random.Generator, width: float, height: float) -> list[Mesh]:
    """Build one large pane, an upper pane, a slit, or small panes between bars."""
    kind = rng.integers(4)
    w, h = width * rng.uniform(0.55, 0.8), height * rng.uniform(0.65, 0.85)
    x, y = width / 2, height * 0.08
    columns, rows, bar = 1, 1, 0.0
    if kind == 1:
        h, y = height * rng.uniform(0.2, 0.4), height * 0.52
    elif kind == 2:
        w, x = rng.uniform(0.08, 0.18), width * rng.choice([0.25, 0.5, 0.75])
    elif kind == 3:
        columns, rows, bar = int(rng.integers(1, 4)), int(rng.integers(3, 6)), 0.035
    cell_w, cell_h = w / columns, h / rows
    return [
        box(cell_w - bar, cell_h - bar, 0.046, x - w / 2 + (column + 0.5) * cell_w, y + row * cell_h)
        for column in range(columns)
        for row in range(rows)
    ]


def _door_panels(rng: np.random.Generator, width: float, height: float) -> list[Mesh]:
    columns, rows = int(rng.choice([1, 2])), int(rng.choice([1, 2, 3, 4]))
    border = rng.uniform(0.08, 0.14)
    cell_w, cell_h = (width - border) / columns, (height - border) / rows
    return [
        box(cell_w - border, cell_h - border, 0.055, border / 2 + (column + 0.5) * cell_w, border + row * cell_h, 0)
        for column in range(columns)
        for row in range(rows)
    ]


def door(style: Style, hole: Opening, angle: float, paint: Surface | None = None) -> list[Item]:
    """Build a frame and a leaf in the frame of a hole.

    A positive `angle` (radians) opens the door away from the room, a negative one into it. `paint`
    is the leaf's surface, and often the frame's; by default both are drawn.
    """
    rng = style.rng
    frame = style.paint() if rng.random() < 0.6 else style.wood()
    if paint and rng.random() < 0.5:
        frame = paint
    depth = rng.uniform(0.01, 0.04)
    trim = frame_around(hole, rng.uniform(0.04, 0.12), depth, sill=False)
    items = [solid('door', frame, [trim])]
    side = rng.choice([-1, 1])
    recess = rng.uniform(0.0, 0.06) if angle <= 0 else WALL_THICKNESS - 0.03
    hinge = transform(-side * hole.width / 2, 0, -recess, side * angle, (side, 1, 1))
    for item in door_leaf(style, hole.width, hole.height, paint or _door_surface(style)):
        items.append(Item(item.mesh, item.label, item.surface, hinge @ item.matrix))
    return items


def window(style: Style, hole: Opening, brightness: float) -> list[Item]:
    """Build a frame, bars and the view outside, in the hole's frame (bottom edge at y = 0)."""
    rng = style.rng
    recess = rng.uniform(0.02, WALL_THICKNESS - 0.02)
    w, h = hole.width, hole.height
    bar = rng.uniform(0.03, 0.08)
    columns, rows = int(rng.choice([1, 2, 2, 3, 4])), int(rng.choice([1, 1, 2, 3]))
    parts = [box(bar, h, 0.05, x) for x in np.linspace(-(w - bar) / 2, (w - bar) / 2, columns + 1)]
    parts += [box(w, bar, 0.05, 0, y) for y in np.linspace(0, h - bar, rows + 1)]
    paint = Surface(tint=tuple(np.full(3, rng.uniform(0.7, 1.0))))
    frame = paint if rng.random() < 0.75 else style.wood()
    items = [solid('window', frame, [merge(parts).at(0, 0, -recess)])]
    if rng.random() < 0.8:
        sill = rng.random() < 0.6 and hole.bottom > 0.3
        trim = frame_around(hole, rng.uniform(0.03, 0.1), rng.uniform(0.01, 0.03), sill)
        items.append(solid('window', frame, [trim]))
    pane = panel(w, h).at(0, 0, -recess - 0.01)
    layer = style.textures.pick(rng, 'outdoors')
    view = Surface(emission=brightness)
    items.append(Item(pane.textured(layer), 'window', view, shadow=False))
    return items


def blinds(style: Style, hole: Opening, daylight: float) -> list[Item]:
    """Build slats, a roller or vertical strips over part of a window; they let light through."""
    rng = style.rng
    cover = hole.height * (1.0 if rng.random() < 0.5 else rng.uniform(0.2, 0.95))
    top, w = hole.height - 0.02, hole.width - 0.04
    glow = daylight * rng.uniform(0.02, 0.4)
    tint = np.full(3, rng.uniform(0.6, 1.0)) if rng.random() < 0.7 else random_colour(rng, 0.2, 1)
    surface = Surface(tint=tuple(tint), emission=glow)
    kind = rng.integers(3)
    if kind == 0:
        parts = [box(w, cover, 0.006, 0, top - cover)]
    elif kind == 1:
        pitch = rng.uniform(0.025, 0.055)
        slat = box(w, 0.003, pitch * 0.95).moved(tilt('x', rng.uniform(0.3, 1.3)))
        parts = [slat.at(0, y, 0) for y in np.arange(top - cover, top, pitch)]
    else:
        strip = box(0.085, cover, 0.003).moved(transform(turn=rng.uniform(0.1, 1.2)))
        parts = [strip.at(x, top - cover, 0) for x in np.arange(-w / 2 + 0.04, w / 2, 0.08)]
    parts.append(box(w, 0.04, 0.05, 0, top - 0.02))
    return [solid('blinds', surface, parts)]


def curtains(style: Style, hole: Opening, floor: float, ceiling: float, daylight: float) -> list[Item]:
    """Build one or two curtains; `floor` and `ceiling` are heights in the hole's frame."""
    rng = style.rng
    top = min(hole.height + rng.uniform(0.02, 0.3), ceiling - 0.02)
    bottom = floor + 0.02 if rng.random() < 0.65 else -rng.uniform(0.05, 0.2)
    surface = style.cloth()
    if rng.random() < 0.35:
        surface = Surface(surface.layer, surface.scale, surface.tint, emission=daylight * rng.uniform(0.05, 0.3))
    spread = hole.width * rng.uniform(1.05, 1.4)
    share = 0.5 if rng.random() < 0.2 else rng.uniform(0.12, 0.42)
    sides = (-1, 1) if rng.random() < 0.85 else (rng.choice([-1, 1]),)
    meshes = [
        _hanging(rng, spread * share, bottom, top).at(side * (spread - spread * share) / 2, 0, 0) for side in sides
    ]
    items = [solid('curtain', surface, meshes)]
    if rng.random() < 0.25:
        meshes = [_hanging(rng, spread, top - rng.uniform(0.15, 0.4), top).at(0, 0, 0.06)]
        items.append(solid('curtain', surface, meshes))
    elif rng.random() < 0.6:
        rod = cylinder(0.014, spread + 0.2, 8).at(0, -(spread + 0.2) / 2, 0)
        items.append(solid('curtain', style.metal(), [rod.moved(tilt('z', math.pi / 2)).at(0, top, 0)]))
    return items


def _hanging(rng: np.random.Generator, width: float, bottom: float, top: float) -> Mesh:
    columns = int(np.clip(width * 60, 12, 120))
    x = np.linspace(-width / 2, width / 2, columns)
    fold = rng.uniform(0.08, 0.18)
    phase = 2 * math.pi * x / fold + rng.normal(0, 0.4, columns).cumsum() * 0.3
    y = np.linspace(bottom, top, 6)
    sway = np.linspace(1.2, 0.6, 6)[:, None]
    z = rng.uniform(0.015, 0.04) * np.sin(phase)[None] * sway
    gathered = x[None] * (1 + rng.normal(0, 0.03) * np.sin(np.linspace(0, 3, 6))[:, None])
    return grid(np.stack([gathered, np.repeat(y[:, None], columns, 1), z], axis=2))


def picture(style: Style, width: float, height: float) -> list[Item]:
    """Build a framed picture, poster or canvas with its base at y = 0 and its back on z = 0."""
    rng = style.rng
    rim = rng.choice([0.0, rng.uniform(0.01, 0.03), rng.uniform(0.03, 0.09)])
    depth = rng.uniform(0.008, 0.04)
    art = panel(width - 2 * rim, height - 2 * rim).at(0, rim, depth + 0.001)
    layer = style.textures.pick(rng, 'picture', 'picture', 'picture', 'fabric', 'paper')
    frame = style.wood() if rng.random() < 0.5 else style.plastic()
    surface = Surface(gloss=rng.choice([0.0, 0.1]))
    return [
        Item(art.textured(layer), 'picture', surface, shadow=False),
        solid('picture', frame, [box(width, height, depth, 0, 0, depth / 2)]),
    ]


def mirror(style: Style, width: float, height: float) -> list[Item]:
    """Build a framed pane that shows a blurred grey room."""
    rng = style.rng
    glass = panel(width - 0.05, height - 0.05).at(0, 0.025, 0.022)
    layer = style.textures.pick(rng, 'outdoors', 'plaster')
    shine = Surface(layer, 0.3, tuple(np.full(3, rng.uniform(0.4, 0.9))), 0.3)
    return [
        Item(glass, 'mirror', shine, shadow=False),
        solid('mirror', style.board(), [box(width, height, 0.02, 0, 0, 0.01)]),
    ]


def socket(rng: np.random.Generator) -> list[Item]:
    """Build a light switch or socket; it is labelled as wall."""
    tint = (0.9,) * 3 if rng.random() < 0.8 else (0.2,) * 3
    return [solid('wall', Surface(tint=tint), [box(0.08, rng.choice([0.08, 0.12]), 0.012)])]
