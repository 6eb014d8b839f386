# SPDX-License-Identifier: Apache-2.0
"""Build fitted kitchens: runs of counters, wall cabinets and appliances, and islands."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.context import RoomContext
from lseg_lab.rooms.joinery import Front, front_panels
from lseg_lab.rooms.meshes import box, cylinder
from lseg_lab.rooms.piece import Piece, solid, whole_top
from lseg_lab.rooms.plan import Wall
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_APPLIANCES = ('refrigerator', 'stove', 'stove', 'dishwasher', 'washing machine')
_APPLIANCE_SHARE = 0.3
_TALLEST = 2.2


@dataclass(frozen=True)
class KitchenLook:
    """What the units of one kitchen have in common; lengths in metres."""

    height: float  # of the worktop
    module: float  # typical width of a unit
    upper_bottom: float
    upper_height: float
    body: Surface
    front: Surface
    worktop: Surface
    splash: Surface  # tiles behind the worktop
    seed: int  # of the panels and handles that all fronts share

    def like_all_units(self, style: Style) -> Style:
        """Return a style that draws the same panels and handles for every unit."""
        return style.drawing_from(np.random.default_rng(self.seed))


def random_look(style: Style) -> KitchenLook:
    """Draw a kitchen's dimensions and materials."""
    rng = style.rng
    body = style.board()
    return KitchenLook(
        height=rng.uniform(0.85, 0.95),
        module=rng.uniform(0.4, 0.8),
        upper_bottom=rng.uniform(1.3, 1.5),
        upper_height=rng.uniform(0.5, 0.95),
        body=body,
        front=body if rng.random() < 0.8 else style.board(),
        worktop=style.stone() if rng.random() < 0.7 else style.wood(),
        splash=Surface(style.textures.pick(rng, 'tiles'), rng.uniform(0.8, 2.5), gloss=0.1),
        seed=int(rng.integers(1 << 31)),
    )


def counter_run(style: Style, width: float, look: KitchenLook, depth: float = 0.6) -> Piece:
    """Build base cabinets (labelled `cabinet`) under a worktop (labelled `counter`)."""
    columns = max(1, round(width / look.module))
    surface = look.body
    body = [box(width, look.height - 0.14, depth - 0.03, 0, 0.1, -0.015), box(width, 0.1, depth - 0.1, 0, 0, -0.05)]
    items = [solid('cabinet', surface, body)]
    items += _unit_fronts(style, look, width, columns, look.height - 0.14, 0.1, depth / 2 - 0.03)
    slab = box(width + 0.01, 0.04, depth + 0.02, 0, look.height - 0.04, 0.01)
    items.append(solid('counter', look.worktop, [slab]))
    return Piece(
        'counter', (width, look.height, depth), tuple(items), whole_top(width - 0.1, depth - 0.12, look.height)
    )


def upper_run(style: Style, width: float, look: KitchenLook) -> Piece:
    """Build wall cabinets to hang above a counter."""
    height, depth = look.upper_height, 0.34
    columns = max(1, round(width / look.module))
    items = [solid('cabinet', look.body, [box(width, height, depth)])]
    items += _unit_fronts(style, look, width, columns, height, 0.0, depth / 2)
    return Piece('cabinet', (width, height, depth), tuple(items), elevation=look.upper_bottom)


def _unit_fronts(
    style: Style, look: KitchenLook, width: float, columns: int, height: float, y: float, z: float
) -> list[Item]:
    items: list[Item] = []
    cell = width / columns
    for column in range(columns):
        drawers = y > 0 and style.rng.random() < 0.3
        doors = 2 if cell > 0.55 and not drawers else 1
        front = Front(cell, height, doors, 3 * int(drawers), y, z)
        panels = front_panels(look.like_all_units(style), 'cabinet', look.front, front)
        x = -width / 2 + (column + 0.5) * cell
        items += [replace(item, mesh=item.mesh.at(x, 0, 0)) for item in panels]
    return items


def worktop_fitting(style: Style, height: float, width: float) -> list[Item]:
    """Build a sink with a tap, or a hob, in the worktop; narrow counters get neither."""
    rng = style.rng
    if width < 0.7 or rng.random() < 0.35:
        return []
    x = rng.uniform(-0.5, 0.5) * (width - 0.65)
    if rng.random() < 0.4:
        plates = [
            cylinder(0.085, 0.006).at(x + sx * 0.14, height + 0.008, sz * 0.12) for sx in (-1, 1) for sz in (-1, 1)
        ]
        glass = Surface(tint=(0.05, 0.05, 0.06), gloss=0.3)
        return [solid('stove', glass, [box(0.56, 0.01, 0.5, x, height)]), solid('stove', style.metal(), plates)]
    steel = Surface(style.textures.pick(rng, 'metal'), 1.0, gloss=0.2)
    rim = [box(0.6, 0.008, 0.46, x, height)]
    bowl = [box(0.5, 0.002, 0.36, x, height + 0.008)]
    tap = [cylinder(0.015, 0.25, 8).at(x, height, -0.2), box(0.025, 0.025, 0.2, x, height + 0.24, -0.1)]
    return [solid('sink', steel, rim + tap), solid('sink', steel.tinted(0.45), bowl)]


def fit_kitchen(context: RoomContext) -> None:
    """Furnish one to three walls with units, and sometimes add an island."""
    rng = context.rng
    look = random_look(context.style)
    walls = sorted(context.arrangement.room.walls, key=lambda wall: rng.random())
    for wall in walls[: rng.integers(1, 4)]:
        _fit_wall(context, wall, look)
    if rng.random() < 0.45:
        island = counter_run(context.style, rng.uniform(0.9, 2.2), look, rng.uniform(0.6, 1.0))
        pose = context.arrangement.in_the_open(island, rng.integers(4) * math.pi / 2)
        if pose is not None:
            context.clutter.cover(island, pose)


def _fit_wall(context: RoomContext, wall: Wall, look: KitchenLook) -> None:
    """Line up counters and appliances along a wall, starting at or near one end."""
    rng = context.rng
    u = rng.choice([0.06, rng.uniform(0.06, max(wall.length - 1.5, 0.07))])
    end = wall.length - rng.choice([0.06, rng.uniform(0.06, wall.length / 2)])
    while u < end - 0.5:
        unit = _unit(context, end - u, look)
        if unit is not None and _install(context, wall, u, end, unit, look):
            u += unit.size[0]
        else:
            u += 0.2


def _install(context: RoomContext, wall: Wall, start: float, end: float, unit: Piece, look: KitchenLook) -> bool:
    """Stand a unit at `start` if it ends before `end`; return whether it fits."""
    width, height, _ = unit.size
    if width > end - start or height > _TALLEST:
        return False
    middle = start + width / 2
    if context.arrangement.against_wall(unit, wall, middle, gap=0.01, tries=1) is None:
        return False
    _equip(context, wall, middle, unit, look)
    return True


def _unit(context: RoomContext, space: float, look: KitchenLook) -> Piece | None:
    rng = context.rng
    if rng.random() < _APPLIANCE_SHARE:
        return context.stock.piece(_APPLIANCES[rng.integers(len(_APPLIANCES))])
    return counter_run(context.style, min(space, rng.uniform(0.6, 2.6)), look)


def _equip(context: RoomContext, wall: Wall, u: float, unit: Piece, look: KitchenLook) -> None:
    """Add things on the worktop, a sink or hob, tiles behind it and cabinets above it."""
    rng, width = context.rng, unit.size[0]
    if unit.label == 'counter':
        pose = wall.frame(u, 0, unit.size[2] / 2 + 0.01)
        context.clutter.cover(unit, pose)
        context.arrangement.fix(worktop_fitting(context.style, look.height, width), pose)
        if rng.random() < 0.7:
            _tile_above(context, wall, u, width, look)
    if unit.size[1] < 1.2 and rng.random() < 0.75:
        hood = context.stock.piece('range hood') if unit.label == 'stove' else None
        above = hood or upper_run(context.style, width, look)
        if above.elevation + above.size[1] < wall.height:
            context.arrangement.against_wall(above, wall, u, gap=0.005, tries=1)


def _tile_above(context: RoomContext, wall: Wall, u: float, width: float, look: KitchenLook) -> None:
    """Add a splashback from the worktop up to the wall cabinets or a window sill."""
    sills = [hole.bottom for hole in wall.openings if abs(hole.centre - u) < (hole.width + width) / 2]
    rise = min([look.upper_bottom, *sills]) - look.height
    if rise > 0.02:
        splash = Item(box(width, rise, 0.008, 0, look.height), 'wall', look.splash)
        context.arrangement.fix([splash], wall.frame(u))
