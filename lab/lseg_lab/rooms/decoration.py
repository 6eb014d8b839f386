# SPDX-License-Identifier: Apache-2.0
"""Lay rugs and hang pictures, mirrors, clocks and sockets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lseg_lab.rooms import fittings
from lseg_lab.rooms.context import RoomContext
from lseg_lab.rooms.meshes import box, stadium, transform
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.plan import Opening, Wall
from lseg_lab.rooms.scene import Item
from lseg_lab.rooms.style import Style

_HUNG_MODELS = ('clock', 'picture', 'whiteboard', 'television')


def lay_rugs(context: RoomContext, chance: float) -> None:
    """Lay up to three rugs, each with probability `chance`, where the floor is large enough."""
    rng, room = context.rng, context.arrangement.room
    for _ in range(rng.binomial(3, chance)):
        width, depth = rng.uniform(0.6, 3.0), rng.uniform(0.5, 2.2)
        for _ in range(4):
            x, z = rng.uniform(room.low, room.high)
            xs, zs = np.linspace(-0.5, 0.5, 5) * width + x, np.linspace(-0.5, 0.5, 5) * depth + z
            if room.contains(np.array([(at, deep) for at in xs for deep in zs])).all():
                where = transform(x, 0.001, z, rng.normal(0, 0.05))
                context.arrangement.fix(_rug(context.style, width, depth), where)
                break


def _rug(style: Style, width: float, depth: float) -> list[Item]:
    rng = style.rng
    oval = rng.random() < 0.2
    mesh = stadium(width, depth, 0.012, 2.0) if oval else box(width, 0.012, depth)
    surface = style.cloth() if rng.random() < 0.6 else style.upholstery()
    items = [solid('rug', surface, [mesh])]
    if not oval and rng.random() < 0.4:
        inner = box(width * 0.84, 0.004, depth * 0.8, 0, 0.0105)
        items.append(solid('rug', style.cloth(), [inner]))
    return items


def hang_things(context: RoomContext) -> None:
    """Hang single pictures, groups of pictures, mirrors, clocks and sockets on free walls."""
    rng = context.rng
    for wall in context.arrangement.room.walls:
        for _ in range(rng.poisson(0.35 * wall.length * rng.random())):
            draw = rng.random()
            if draw < 0.75:
                _hang_pictures(context, wall)
            elif draw < 0.87:
                width, height = rng.uniform(0.3, 1.2), rng.uniform(0.4, 1.5)
                items = fittings.mirror(context.style, width, height)
                _hang(context, wall, items, _random_place(rng, wall, width, height), 0.002)
            else:
                _hang_model(context, wall)
        for _ in range(rng.integers(0, 4)):
            u = rng.uniform(0.1, max(wall.length - 0.1, 0.11))
            place = Opening(u, 0.08, rng.choice([0.25, 1.1]), 0.12)
            _hang(context, wall, fittings.socket(rng), place, 0.006)


def _hang_pictures(context: RoomContext, wall: Wall) -> None:
    rng = context.rng
    count = int(rng.choice([1, 1, 1, 2, 3, 4]))
    largest = 1.2 if count == 1 else 0.65
    width, height = rng.uniform(0.18, largest), rng.uniform(0.18, largest)
    pitch = width + rng.uniform(0.05, 0.3)
    if wall.length < count * pitch:
        return
    first = rng.uniform(0, wall.length - count * pitch) + pitch / 2
    foot = rng.uniform(1.0, 1.75)
    for index in range(count):
        place = Opening(first + index * pitch, width, min(foot, wall.height - height - 0.05), height)
        _hang(context, wall, fittings.picture(context.style, width, height), place, 0.002)


def _hang_model(context: RoomContext, wall: Wall) -> None:
    rng = context.rng
    piece = context.stock.piece(_HUNG_MODELS[rng.integers(len(_HUNG_MODELS))])
    if piece is not None:
        width, height, depth = piece.size
        place = _random_place(rng, wall, width, height)
        _hang(context, wall, piece.items, place, depth / 2)


def _random_place(rng: np.random.Generator, wall: Wall, width: float, height: float) -> Opening:
    foot = min(rng.uniform(0.9, 1.7), wall.height - height - 0.05)
    last = max(wall.length - width / 2, width / 2 + 1e-3)
    return Opening(rng.uniform(width / 2, last), width, foot, height)


def _hang(context: RoomContext, wall: Wall, items: Sequence[Item], place: Opening, out: float) -> None:
    """Hang items at `place`, `out` metres off the wall, if that part of the wall is free."""
    if place.bottom > 0.2 and wall.is_free(place):
        wall.taken.append(place)
        context.arrangement.fix(items, wall.frame(place.centre, place.bottom, out))
