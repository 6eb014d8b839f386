# SPDX-License-Identifier: Apache-2.0
"""Build flights of steps, landings, spirals and their railings, at real measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, grid, prism, transform, wedge
from lseg_lab.rooms.patterns import paint_colour
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_BOARD = 0.02  # metres: thickness of a riser
_INFILLS = ('balusters', 'bars', 'glass', 'wall', 'posts')


@dataclass(frozen=True)
class Steps:
    """The measures of a flight, in metres; it has one tread fewer than `count` risers."""

    width: float
    rise: float
    going: float
    count: int

    @property
    def length(self) -> float:
        """Return the distance from the first riser to the last."""
        return (self.count - 1) * self.going

    @property
    def height(self) -> float:
        """Return the height that the flight climbs."""
        return self.count * self.rise


@dataclass(frozen=True)
class Look:
    """How all flights of a staircase are built, and of what."""

    construction: str  # solid, slab (closed, hollow below), strings (closed) or open (no risers)
    tread: Surface
    riser: Surface
    body: Surface
    thickness: float  # of a tread
    nosing: float  # how far a tread projects beyond its riser
    runner: Surface | None  # a carpet in the middle
    strip: Surface | None  # along the edge of each tread
    rail: Surface
    infill: str  # of the railing
    infill_surface: Surface


def step_surface(style: Style) -> Surface:
    """Draw wood, stone, terrazzo, tiles, carpet, metal, concrete or paint for treads."""
    rng, textures = style.rng, style.textures
    kinds = ('wood', 'planks', 'stone', 'tiles', 'carpet', 'metal', 'plaster', '')
    kind = kinds[rng.choice(len(kinds), p=[0.2, 0.06, 0.2, 0.08, 0.14, 0.06, 0.18, 0.08])]
    if kind == 'wood':
        return style.wood()
    if kind == '':
        return style.paint()
    tint = rng.uniform(0.35, 1.2) * (1 + rng.normal(0, 0.05, 3))
    if kind == 'plaster':  # concrete, bare or painted
        tint = paint_colour(rng) if rng.random() < 0.3 else rng.uniform(0.25, 0.75) * np.ones(3)
    gloss = 0.0 if kind in ('carpet', 'plaster') else float(rng.choice([0.0, 0.05, 0.2]))
    scale = rng.uniform(0.5, 1.5)
    red, green, blue = np.clip(tint, 0.03, 1.3).tolist()
    return Surface(textures.pick(rng, kind), scale, (red, green, blue), gloss)


def random_look(style: Style) -> Look:
    """Draw a construction and its materials: all alike, or treads unlike risers."""
    rng = style.rng
    tread = step_surface(style)
    riser = (tread, tread.tinted(rng.uniform(0.7, 1.2)), step_surface(style), _white(rng))[
        rng.choice(4, p=[0.45, 0.15, 0.2, 0.2])
    ]
    runner = style.cloth() if rng.random() < 0.5 else replace(style.upholstery(), gloss=0.0)
    shade = rng.choice([0.04, 0.2, 0.85])
    strip = Surface(tint=(0.85, 0.65, 0.05)) if rng.random() < 0.3 else Surface(tint=(shade,) * 3)
    infill = _INFILLS[rng.choice(len(_INFILLS), p=[0.4, 0.2, 0.1, 0.15, 0.15])]
    panels = {
        'glass': Surface(tint=(0.72, 0.78, 0.78), gloss=0.4),
        'wall': Surface(tint=tuple(np.clip(paint_colour(rng), 0, 1))),
    }
    wooden = rng.random() < 0.5
    return Look(
        str(rng.choice(['solid', 'slab', 'strings', 'open'], p=[0.45, 0.2, 0.2, 0.15])),
        tread,
        riser,
        riser if rng.random() < 0.6 else _white(rng),
        rng.uniform(0.02, 0.06),
        float(rng.choice([0.0, rng.uniform(0.01, 0.04)])),
        runner if rng.random() < 0.12 else None,
        strip if rng.random() < 0.2 else None,
        style.wood() if wooden else style.metal(),
        infill,
        panels.get(infill, style.paint() if rng.random() < 0.5 else style.metal()),
    )


def _white(rng: np.random.Generator) -> Surface:
    return Surface(tint=tuple(rng.uniform(0.7, 0.97) * np.array([1.0, 0.98, 0.95])))


def random_steps(rng: np.random.Generator, count: int) -> Steps:
    """Draw a flight's measures; steep flights have short goings, as builders' rules ask."""
    rise = rng.uniform(0.14, 0.21)
    going = float(np.clip(rng.normal(0.63, 0.03) - 2 * rise, 0.22, 0.34))
    broad = rng.random() < 0.25
    return Steps(rng.uniform(1.4, 2.5) if broad else rng.uniform(0.7, 1.4), rise, going, count)


def flight(look: Look, steps: Steps, above_floor: float = 0.0) -> list[Item]:
    """Build a flight along +z, centred on x = 0, whose first riser stands at z = 0 on y = 0.

    Its last riser ends 2 mm below the floor that it leads to, and has no tread. A solid flight
    reaches down to the floor, `above_floor` metres below.
    """
    width, going, thick = steps.width, steps.going, look.thickness
    treads, risers, bodies = [], [], []
    for index in range(steps.count):
        z, base, top = index * going, index * steps.rise, (index + 1) * steps.rise
        last = index == steps.count - 1
        if not last:
            deep = going + look.nosing
            treads.append(box(width, thick, deep, 0, top - thick, z - look.nosing + deep / 2))
        if look.construction != 'open' or last:
            tall = steps.rise - (0.002 if last else thick)
            risers.append(box(width - 0.002, tall, _BOARD, 0, base, z + _BOARD / 2))
        if look.construction in ('solid', 'slab') and not last:
            foot = -above_floor if look.construction == 'solid' else max(0.0, base - 0.15)
            middle = z + _BOARD + going / 2
            bodies.append(box(width - 0.004, top - thick - foot, going, 0, foot, middle))
    if look.construction in ('strings', 'open'):
        bodies += _strings(steps)
    items = [solid('stairs', look.riser, risers)]
    items += [solid('stairs', look.tread, treads)] if treads else []
    items += [solid('stairs', look.body, bodies)] if bodies else []
    return items + _trim(look, steps)


def _strings(steps: Steps) -> list[Mesh]:
    """Build the two sloping boards that carry the treads."""
    board = box(0.045, 0.28, steps.length, 0, -0.12, steps.length / 2)
    return [
        sloping(board.at(side * (steps.width / 2 - 0.025), steps.rise, 0), steps.rise / steps.going) for side in (-1, 1)
    ]


def _trim(look: Look, steps: Steps) -> list[Item]:
    """Build the carpet in the middle and the strips along the edges of treads."""
    carpets, strips = [], []
    for index in range(steps.count - 1):
        z, top = index * steps.going - look.nosing, (index + 1) * steps.rise
        strips.append(box(steps.width * 0.99, 0.004, 0.045, 0, top, z + 0.022))
        deep = steps.going + look.nosing
        carpets.append(box(steps.width * 0.7, 0.008, deep, 0, top, z + deep / 2))
        if look.construction != 'open':
            carpets.append(box(steps.width * 0.7, steps.rise, 0.008, 0, top - steps.rise, z - 0.004))
    items = []
    if look.runner and carpets:
        items.append(solid('stairs', look.runner, carpets))
    elif look.strip and strips:
        items.append(solid('stairs', look.strip, strips))
    return items


def landing(look: Look, width: float, depth: float, above_floor: float) -> list[Item]:
    """Build a landing whose top is y = 0, centred on x = 0, from z = 0 to `depth`.

    People walk on it, so that its top is labelled as floor.
    """
    thin = 0.002  # so that the edge seen from below is a riser
    tall = above_floor - thin if look.construction == 'solid' else 0.2
    slab = box(width, tall, depth - _BOARD, 0, -thin - tall, (depth + _BOARD) / 2)
    cover = box(width, thin, depth + look.nosing, 0, -thin, (depth - look.nosing) / 2)
    return [solid('floor', look.tread, [cover]), solid('stairs', look.body, [slab])]


def winders(look: Look, steps: Steps, above_floor: float) -> list[Item]:
    """Build three steps that turn from +z towards +x around the corner at (width / 2, 0).

    The top of the first is y = 0, `above_floor` metres above the floor. They fill the square from
    z = 0 to the flight's width.
    """
    width, cut = steps.width, steps.width / math.sqrt(3)
    left, right, thick = -width / 2, width / 2, look.thickness
    shapes = (
        [(right, 0), (left, 0), (left, cut)],
        [(right, 0), (left, cut), (left, width), (right - cut, width)],
        [(right, 0), (right - cut, width), (right, width)],
    )
    foot = -above_floor if look.construction == 'solid' else -0.2
    treads, bodies = [], []
    for index, shape in enumerate(shapes):
        top = index * steps.rise
        treads.append(prism(shape, thick).at(0, top - thick, 0))
        bodies.append(prism(shape, top - thick - foot).at(0, foot, 0))
    return [solid('stairs', look.tread, treads), solid('stairs', look.riser, bodies)]


def sloping(mesh: Mesh, slope: float) -> Mesh:
    """Return the mesh with every point raised by `slope` times its z."""
    shear = np.eye(4)
    shear[1, 2] = slope
    return mesh.moved(shear)


def railing(look: Look, length: float, slope: float = 0.0, height: float = 0.95) -> list[Item]:
    """Build a railing or low wall along +z from z = 0 to `length`, on a line of this slope."""
    middle, label = length / 2, 'wall' if look.infill == 'wall' else 'railing'
    rail = box(0.05, 0.045, length, 0, height, middle)
    if look.infill in ('glass', 'wall'):
        thick = 0.015 if look.infill == 'glass' else 0.1
        filling = [box(thick, height + 0.2, length, 0, -0.2, middle)]
    else:
        gap = {'balusters': 0.12, 'bars': 1.1, 'posts': 0.6}[look.infill]
        places = np.linspace(0.03, length - 0.03, max(2, round(length / gap) + 1))
        thick = 0.022 if look.infill == 'balusters' else 0.04
        filling = [box(thick, height + 0.2, thick, 0, -0.2, z) for z in places]
    if look.infill == 'bars':
        filling += [box(0.02, 0.02, length, 0, y, middle) for y in (0.2, 0.4, 0.6, 0.78)]
    return [
        solid('railing', look.rail, [sloping(rail, slope)]),
        solid(label, look.infill_surface, [sloping(mesh, slope) for mesh in filling]),
    ]


def handrail(look: Look, length: float, slope: float) -> list[Item]:
    """Build a handrail on brackets, 5 cm from a wall at x = 0, on the side of +x."""
    parts = [box(0.045, 0.045, length, 0.07, 0.9, length / 2)]
    parts += [box(0.07, 0.02, 0.02, 0.035, 0.89, z) for z in np.arange(0.2, length, 1.0)]
    return [solid('railing', look.rail, [sloping(mesh, slope) for mesh in parts])]


def flight_rails(look: Look, steps: Steps, sides: Sequence[str]) -> list[Item]:
    """Build what each side (-x, +x) of a flight has: 'railing', 'handrail' or nothing ('')."""
    items: list[Item] = []
    if steps.count < 2:
        return items
    for sign, kind in zip((-1, 1), sides):
        slope, edge = steps.rise / steps.going, sign * steps.width / 2
        if kind == 'railing':
            built, where = railing(look, steps.length, slope), transform(edge, steps.rise, 0)
        elif kind == 'handrail':
            built = handrail(look, steps.length, slope)
            where = transform(edge, steps.rise, 0, scale=(-sign, 1, 1))
        else:
            continue
        items += [replace(item, matrix=where @ item.matrix) for item in built]
    return items


def spiral(look: Look, steps: Steps, turns: float) -> list[Item]:
    """Build wedge-shaped treads around a column at x = z = 0; the last points towards +z."""
    radius, step_angle = steps.width, 2 * math.pi * turns / steps.count
    treads = []
    for index in range(steps.count - 1):
        angle = (index + 2 - steps.count) * step_angle
        tread = wedge(0.04, radius, step_angle * 1.08, look.thickness)
        place = transform(0, (index + 1) * steps.rise - look.thickness, 0, angle)
        treads.append(tread.moved(place))
    angles = np.linspace(2 - steps.count, 0.5, 3 * steps.count) * step_angle
    heights = np.linspace(1, steps.count - 0.5, 3 * steps.count) * steps.rise + 0.9
    ring = np.array([(0, 0), (0.045, 0), (0.045, 0.045), (0, 0.045), (0, 0)])
    across = radius - 0.06 + ring[:, 0]
    points = np.stack(
        [
            across[:, None] * np.sin(angles),
            heights + ring[:, 1][:, None] + 0 * across[:, None],
            across[:, None] * np.cos(angles),
        ],
        axis=2,
    )
    posts = [
        box(0.02, 0.9, 0.02, radius * 0.96 * math.sin(angle), height - 0.9, radius * 0.96 * math.cos(angle))
        for angle, height in zip(angles[::3], heights[::3])
    ]
    column = cylinder(0.06, steps.height + 0.9)
    return [
        solid('stairs', look.tread, treads),
        solid('stairs', look.rail, [column]),
        solid('railing', look.rail, [grid(points), *posts]),
    ]
