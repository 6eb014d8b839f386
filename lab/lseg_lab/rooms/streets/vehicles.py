# SPDX-License-Identifier: Apache-2.0
"""Build cars, vans, trucks and buses, facing +z."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, grid, quads, tilt, transform, triple
from lseg_lab.rooms.patterns import random_colour
from lseg_lab.rooms.piece import Piece, solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_PAINTS = (
    (0.9, 0.9, 0.9), (0.72, 0.73, 0.75), (0.45, 0.46, 0.48), (0.25, 0.26, 0.28), (0.06, 0.06, 0.07),
    (0.6, 0.07, 0.08), (0.1, 0.18, 0.45), (0.08, 0.12, 0.22), (0.12, 0.3, 0.2), (0.75, 0.7, 0.58),
    (0.35, 0.12, 0.1), (0.85, 0.65, 0.1), (0.4, 0.55, 0.7),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Dimensions of a body in metres; `rear` to `front` are shares of the length from its rear."""

    length: float
    width: float
    height: float
    belt: float  # height of the lower edge of the windows
    bonnet: float  # height of the front end
    rear: float  # in turn: foot and top of the rear window, top and foot of the windscreen
    rear_top: float
    front_top: float
    front: float
    boot: float  # height of the rear end


_SHAPES = {  # name: class, share, shape
    'hatchback': ('car', 0.3, Shape(4.0, 1.72, 1.48, 0.92, 0.72, 0.03, 0.13, 0.55, 0.74, 0.85)),
    'saloon': ('car', 0.22, Shape(4.6, 1.78, 1.44, 0.9, 0.7, 0.17, 0.32, 0.56, 0.73, 0.88)),
    'estate': ('car', 0.14, Shape(4.6, 1.78, 1.48, 0.92, 0.72, 0.02, 0.08, 0.57, 0.74, 0.85)),
    'off-roader': ('car', 0.16, Shape(4.5, 1.86, 1.72, 1.08, 0.92, 0.02, 0.08, 0.55, 0.7, 1.0)),
    'people carrier': ('car', 0.08, Shape(4.4, 1.8, 1.68, 1.0, 0.8, 0.02, 0.07, 0.6, 0.84, 0.95)),
    'van': ('van', 0.1, Shape(5.2, 1.98, 2.2, 1.15, 0.95, 0.01, 0.02, 0.76, 0.88, 1.1)),
}


def paint(style: Style) -> Surface:
    """Draw the paint of a vehicle."""
    rng = style.rng
    colour = np.array(_PAINTS[rng.integers(len(_PAINTS))]) * rng.uniform(0.8, 1.1)
    if rng.random() < 0.2:
        colour = random_colour(rng, 0.1, 0.95)
    return Surface(tint=triple(np.clip(colour * (1 + rng.normal(0, 0.05, 3)), 0.02, 1)), gloss=rng.uniform(0.02, 0.15))


def _wheels(
    length: float, width: float, radius: float, shares: Sequence[float]
) -> tuple[list[Mesh], list[Mesh], list[Mesh]]:
    """Return tyres, hubs and wheel arches; `shares` place the axles along the length."""
    lying = tilt('z', math.pi / 2)
    tyres, hubs, arches = [], [], []
    for share in shares:
        for side in (-1, 1):
            z, edge = (share - 0.5) * length, side * (width / 2 + 0.012)
            inner = edge - 0.2 if side > 0 else edge
            tyres.append(cylinder(radius, 0.2, 18).moved(transform(inner + 0.2, radius, z) @ lying))
            hub = edge + side * 0.006
            hubs.append(cylinder(radius * 0.62, 0.012, 12).moved(transform(hub + 0.006, radius, z) @ lying))
            arch = side * (width / 2 + 0.004)
            arches.append(cylinder(radius * 1.17, 0.008, 18).moved(transform(arch + 0.004, radius * 1.04, z) @ lying))
    return tyres, hubs, arches


def _body(shape: Shape, clearance: float) -> Mesh:
    """Build the part below the windows: cross-sections along the length, rounded at the top."""
    at = np.array([0.0, 0.0, 0.012, 0.04, shape.rear + 0.02, shape.front, 0.93, 0.985, 1.0, 1.0])
    belt, bonnet, boot = shape.belt, shape.bonnet, shape.boot
    rise = [0.45, boot - 0.1, boot - 0.03, boot, belt, belt, bonnet, bonnet - 0.08, bonnet - 0.22, 0.45]
    top = np.array(rise)
    narrow = np.array([0.0, 0.9, 0.93, 0.96, 1.0, 1.0, 0.95, 0.9, 0.86, 0.0])
    across = np.array([-0.94, -1.0, -1.0, -0.97, -0.88, 0.0, 0.88, 0.97, 1.0, 1.0, 0.94])
    up = np.array([0.0, 0.25, 0.7, 0.92, 1.0, 1.02, 1.0, 0.92, 0.7, 0.25, 0.0])
    x = narrow[:, None] * across * shape.width / 2
    y = clearance + (top[:, None] - clearance) * up
    z = np.broadcast_to(((at - 0.5) * shape.length)[:, None], x.shape)
    return grid(np.stack([x, y, z], axis=2))


def _inset(face: np.ndarray, u: tuple[float, float], v: tuple[float, float], lift: float = 0.008) -> np.ndarray:
    """Return the part of a quadrilateral between shares u and v, raised by `lift` metres."""
    normal = np.cross(face[1] - face[0], face[3] - face[0])
    normal /= np.linalg.norm(normal)
    corners = [(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])]
    points = [(face[0] * (1 - a) + face[1] * a) * (1 - b) + (face[3] * (1 - a) + face[2] * a) * b for a, b in corners]
    return np.array(points) + normal * lift


def _cabin(rng: np.random.Generator, shape: Shape, panelled: bool) -> tuple[Mesh, Mesh]:
    """Return the body-coloured cabin and its panes; a panelled van has no rear side windows."""
    low, high = shape.width / 2 * 0.95, shape.width / 2 * rng.uniform(0.72, 0.84)
    z = (np.array([shape.rear, shape.rear_top, shape.front_top, shape.front]) - 0.5) * shape.length
    foot, top = shape.belt - 0.02, shape.height
    left = [(low, foot, z[3]), (low, foot, z[0]), (high, top, z[1]), (high, top, z[2])]
    right = [(-low, foot, z[0]), (-low, foot, z[3]), (-high, top, z[2]), (-high, top, z[1])]
    screen = [(-low, foot, z[3]), (low, foot, z[3]), (high, top, z[2]), (-high, top, z[2])]
    back = [(low, foot, z[0]), (-low, foot, z[0]), (-high, top, z[1]), (high, top, z[1])]
    roof = [(-high, top, z[2]), (high, top, z[2]), (high, top, z[1]), (-high, top, z[1])]
    faces = [np.array(face, float) for face in (left, right, screen, back, roof)]
    panes = [_inset(faces[2], (0.05, 0.95), (0.08, 0.93))]
    doors = [(0.03, 0.36), (0.4, 0.68), (0.72, 0.97)] if not panelled else [(0.04, 0.26)]
    for first, last in doors:
        panes.append(_inset(faces[0], (first, last), (0.1, 0.9)))
        panes.append(_inset(faces[1], (1 - last, 1 - first), (0.1, 0.9)))
    if not panelled or rng.random() < 0.4:
        panes.append(_inset(faces[3], (0.08, 0.92), (0.15, 0.9)))
    return quads(np.array(faces)), quads(np.array(panes))


def _lights(shape: Shape, label: str) -> list[Item]:
    """Build headlights, tail lights and number plates."""
    w, half = shape.width / 2, shape.length / 2
    front = [box(0.3, 0.13, 0.06, side * w * 0.68, shape.bonnet - 0.2, half - 0.02) for side in (-1, 1)]
    rear = [box(0.2, 0.2, 0.05, side * w * 0.76, shape.boot - 0.22, -half - 0.0) for side in (-1, 1)]
    plates = [box(0.5, 0.11, 0.03, 0, 0.42, half), box(0.5, 0.11, 0.03, 0, 0.5, -half)]
    return [
        solid(label, Surface(tint=(0.85, 0.87, 0.9), emission=0.2), front),
        solid(label, Surface(tint=(0.6, 0.05, 0.05)), rear),
        solid(label, Surface(tint=(0.85, 0.83, 0.7)), plates),
    ]


def _varied(rng: np.random.Generator, base: Shape) -> Shape:
    return replace(
        base,
        length=base.length * rng.uniform(0.92, 1.08),
        width=base.width * rng.uniform(0.96, 1.04),
        height=base.height * rng.uniform(0.95, 1.06),
        belt=base.belt * rng.uniform(0.96, 1.04),
        bonnet=base.bonnet * rng.uniform(0.96, 1.04),
        rear_top=base.rear_top * rng.uniform(0.94, 1.06),
        front_top=base.front_top * rng.uniform(0.94, 1.06),
    )


def car(style: Style, name: str | None = None) -> Piece:
    """Build a car or van with random dimensions and colours."""
    rng = style.rng
    names = list(_SHAPES)
    name = name or str(rng.choice(names, p=[_SHAPES[each][1] for each in names]))
    label, _, base = _SHAPES[name]
    shape = _varied(rng, base)
    radius, colour = rng.uniform(0.29, 0.36), paint(style)
    cabin, panes = _cabin(rng, shape, name == 'van' and rng.random() < 0.7)
    tyres, hubs, arches = _wheels(shape.length, shape.width, radius, (0.19, 0.82))
    dark = rng.uniform(0.03, 0.12)
    glass = Surface(tint=triple(rng.uniform(0.05, 0.3) * np.array([0.9, 1.0, 1.05])), gloss=0.3)
    sill = box(shape.width * 0.98, 0.16, shape.length * 0.96, 0, 0.2)
    mirrors = [box(0.16, 0.12, 0.09, side * shape.width * 0.53, shape.belt, shape.length * 0.2) for side in (-1, 1)]
    hub = rng.uniform(0.2, 0.8)
    items = [
        solid(label, colour, [_body(shape, 0.22), cabin, *mirrors]),
        Item(panes, label, glass),
        solid(label, Surface(tint=(dark, dark, dark)), [*tyres, *arches, sill]),
        solid(label, Surface(tint=(hub, hub, hub)), hubs),
        *_lights(shape, label),
    ]
    return Piece(label, (shape.width, shape.height, shape.length), tuple(items))


def _window_band(half: float, length: float, low: float, high: float, count: int) -> Mesh:
    """Build panes along both sides of a box that is 2 * half wide."""
    edges = np.linspace(-length / 2, length / 2, count + 1)
    gap, panes = 0.06, []
    for z0, z1 in zip(edges + gap, edges[1:] - gap):
        panes.append([(half, low, z1), (half, low, z0), (half, high, z0), (half, high, z1)])
        panes.append([(-half, low, z0), (-half, low, z1), (-half, high, z1), (-half, high, z0)])
    return quads(panes)


def bus(style: Style) -> Piece:
    """Build a bus or coach, sometimes with two decks."""
    rng = style.rng
    length, width, double = rng.uniform(8, 12.5), 2.5, rng.random() < 0.25
    height, colour = (4.3 if double else rng.uniform(2.9, 3.3)), paint(style)
    half, count = width / 2 + 0.01, int(rng.integers(5, 9))
    panes = [_window_band(half, length * 0.94, low, low + 0.95, count) for low in ((1.2, 2.9) if double else (1.25,))]
    end = length / 2 + 0.01
    front = quads([[(-1.1, 1.1, end), (1.1, 1.1, end), (1.1, 2.5, end), (-1.1, 2.5, end)]])
    rear = quads([[(1.1, 1.5, -end), (-1.1, 1.5, -end), (-1.1, 2.4, -end), (1.1, 2.4, -end)]])
    tyres, hubs, arches = _wheels(length, width, 0.48, (0.24, 0.8))
    body = box(width, height - 0.32, length, 0, 0.32)
    stripe = box(width + 0.012, rng.uniform(0.2, 0.6), length + 0.012, 0, rng.uniform(0.4, 0.7))
    items = (
        Item(body, 'bus', colour),
        Item(stripe, 'bus', paint(style)),
        solid('bus', Surface(tint=(0.1, 0.12, 0.14), gloss=0.2), [*panes, front, rear]),
        solid('bus', Surface(tint=(0.06, 0.06, 0.06)), [*tyres, *arches]),
        solid('bus', Surface(tint=(0.5, 0.5, 0.5)), hubs),
    )
    return Piece('bus', (width, height, length), items)


def truck(style: Style) -> Piece:
    """Build a truck: a cab with a box, an open bed or a tank behind it."""
    rng = style.rng
    length, width, height = rng.uniform(5.5, 9.5), rng.uniform(2.1, 2.5), rng.uniform(2.6, 3.6)
    cab, rear = rng.uniform(1.6, 2.2), -length / 2
    tall = min(height, rng.uniform(2.3, 3.0))
    front = length / 2
    cabin = box(width * 0.95, tall - 0.5, cab, 0, 0.5, front - cab / 2)
    panes = _window_band(width * 0.475 + 0.01, cab * 0.7, 1.4, tall - 0.3, 1).at(0, 0, front - cab * 0.5)
    x, z = width * 0.43, front + 0.01
    screen = quads([[(-x, 1.35, z), (x, 1.35, z), (x, tall - 0.25, z), (-x, tall - 0.25, z)]])
    load, long = (rear + front - cab - 0.15) / 2, length - cab - 0.15
    draw = rng.random()
    if draw < 0.65:
        cargo = box(width, height - 0.95, long, 0, 0.95, load)
    elif draw < 0.85:
        cargo = box(width, rng.uniform(0.4, 0.9), long, 0, 0.95, load)
    else:
        cargo = cylinder(width * 0.45, long, 20).moved(transform(0, 0.95 + width * 0.45, rear) @ tilt('x', math.pi / 2))
    tyres, hubs, arches = _wheels(length, width, 0.46, (0.2, 0.83))
    chassis = box(width * 0.8, 0.4, length * 0.98, 0, 0.5)
    items = (
        Item(cabin, 'truck', paint(style)),
        solid('truck', Surface(tint=(0.1, 0.11, 0.13), gloss=0.2), [panes, screen]),
        Item(cargo, 'truck', paint(style)),
        solid('truck', Surface(tint=(0.07, 0.07, 0.07)), [*tyres, *arches, chassis]),
        solid('truck', Surface(tint=(0.55, 0.55, 0.55)), hubs),
    )
    return Piece('truck', (width, height, length), items)
