# SPDX-License-Identifier: Apache-2.0
"""Place furniture that belongs together: sofa and television, table and chairs, desk, bed."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms import joinery
from lseg_lab.rooms.context import RoomContext
from lseg_lab.rooms.meshes import transform
from lseg_lab.rooms.piece import Piece


def bed_group(context: RoomContext) -> None:
    """Place a bed with nightstands beside it."""
    found = context.wall_piece('bed')
    if found is None:
        return
    wall, u, bed = found
    for side in (-1, 1):
        if context.rng.random() < 0.75:
            context.wall_piece('nightstand', wall, u + side * (bed.size[0] / 2 + 0.35))
    if context.rng.random() < 0.15:
        context.wall_piece('bed')


def seating_group(context: RoomContext) -> None:
    """Place a sofa at a wall, a coffee table and armchairs before it, and a television."""
    found = context.wall_piece('sofa')
    if found is None:
        return
    wall, u, sofa = found
    rng, arrangement = context.rng, context.arrangement
    ahead = sofa.size[2] + rng.uniform(0.5, 0.9)
    front = wall.start + wall.along * u + wall.normal * ahead
    table = context.stock.piece('coffee table' if rng.random() < 0.8 else 'stool')
    if table is not None and rng.random() < 0.8:
        pose = arrangement.at(table, front[0], front[1], wall.turn)
        if pose is not None:
            context.clutter.cover(table, pose)
    for side in (-1, 1):
        chair = context.stock.piece('armchair')
        if chair is not None and rng.random() < 0.5:
            aside = side * (sofa.size[0] / 2 + rng.uniform(0.3, 0.8))
            turn = wall.turn - side * math.pi / 2 + rng.normal(0, 0.3)
            x, z = front + wall.along * aside
            arrangement.at(chair, x, z, turn)
    if rng.random() < 0.7:
        _television(context)


def _television(context: RoomContext) -> None:
    found = context.wall_piece('tv stand')
    screen = context.stock.piece('television')
    if found is not None and screen is not None and found[2].tops:
        wall, u, stand = found
        pose = wall.frame(u, 0, stand.size[2] / 2 + 0.03)
        context.arrangement.on_top(stand.tops[0], pose, list(screen.items), 0.0, 0.0, 0.0)


def dining_group(context: RoomContext) -> None:
    """Place a laid or littered table in the open with matching chairs around it."""
    rng = context.rng
    table = context.stock.piece('table')
    if table is None or rng.random() < 0.7:
        table = joinery.table(context.style, 'table', rng.uniform(0.9, 2.8))
    turn = rng.integers(2) * math.pi / 2
    if rng.random() < 0.3:
        turn += rng.normal(0, 0.15)
    pose = context.arrangement.in_the_open(table, turn, tries=25)
    if pose is not None:
        context.clutter.cover(table, pose, dining=True)
        _chairs_around(context, table, pose)


def _chairs_around(context: RoomContext, table: Piece, pose: np.ndarray) -> None:
    """Place matching chairs around the table and facing it, most of them pushed in."""
    rng = context.rng
    chair = context.stock.piece('chair' if rng.random() < 0.9 else 'stool')
    if chair is None:
        return
    width, _, depth = table.size
    count = max(1, int(width / 0.65))
    along = (np.arange(count) - (count - 1) / 2) * width / count
    places = [(x, 0, side) for side in (-1, 1) for x in along]  # (shift, end, long side)
    places += [(0.0, end, 0) for end in (-1, 1)]
    for x, end, side in places:
        if rng.random() > 0.8:
            continue
        out = rng.uniform(-0.12, 0.35)
        local = transform(
            x + end * (width / 2 + out), 0, side * (depth / 2 + out), math.atan2(-end, -side) + rng.normal(0, 0.15)
        )
        where = pose @ local
        if context.arrangement.room.contains(where[[0, 2], 3][None])[0]:
            context.arrangement.add(chair, where)


def desk_groups(context: RoomContext) -> None:
    """Place one to four desks, each with desk items on it and a chair in front."""
    rng, arrangement = context.rng, context.arrangement
    for _ in range(rng.integers(1, 5)):
        desk = context.stock.piece('desk' if rng.random() < 0.7 else 'table')
        if desk is None:
            continue
        if rng.random() < 0.6:
            found = arrangement.against_wall(desk)
            back = desk.size[2] / 2 + 0.03
            pose = None if found is None else found[0].frame(found[1], 0, back)
        else:
            pose = arrangement.in_the_open(desk, rng.integers(4) * math.pi / 2)
        if pose is not None:
            context.clutter.cover(desk, pose)
            _desk_chair(context, desk, pose)


def _desk_chair(context: RoomContext, desk: Piece, pose: np.ndarray) -> None:
    rng = context.rng
    chair = context.stock.piece('chair')
    if chair is not None and rng.random() < 0.85:
        z = desk.size[2] / 2 + rng.uniform(0.0, 0.4)
        local = transform(rng.normal(0, 0.2), 0, z, math.pi + rng.normal(0, 0.5))
        context.arrangement.add(chair, pose @ local)
