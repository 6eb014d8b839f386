# SPDX-License-Identifier: Apache-2.0
"""Furnish rooms by use: living room, bedroom, kitchen, office, bathroom, hall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.clutter import Clutter
from lseg_lab.rooms.context import RoomContext
from lseg_lab.rooms.decoration import hang_things, lay_rugs
from lseg_lab.rooms.groups import bed_group, desk_groups, dining_group, seating_group
from lseg_lab.rooms.kitchen import fit_kitchen
from lseg_lab.rooms.piece import Piece
from lseg_lab.rooms.plan import Wall
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.style import Style

# Pieces for the walls and for the open floor; a name listed twice is drawn twice as often.
_WALL_PIECES = {
    'living': 'sofa, sofa, sofa, bookshelf, bookshelf, cabinet, cabinet, dresser, armchair,'
    ' armchair, piano, fireplace, radiator, speaker, desk, plant, plant, lamp, lamp,'
    ' tv stand, aquarium, chair, bench, table, table, table, stool, table',
    'bedroom': 'wardrobe, wardrobe, wardrobe, dresser, dresser, desk, desk, chair, chair, plant,'
    ' lamp, lamp, bookshelf, bookshelf, radiator, armchair, guitar, suitcase, crib,'
    ' cabinet, table, stool, bench, clothes rack, nightstand',
    'kitchen': 'refrigerator, cabinet, trash can, washing machine, bench, table, stool,'
    ' water cooler, bookshelf, radiator, chair, high chair',
    'office': 'desk, desk, cabinet, cabinet, bookshelf, bookshelf, table, printer, water cooler,'
    ' plant, trash can, safe, sofa, radiator, chair, chair, whiteboard, fan',
    'bathroom': 'toilet, sink, sink, bathtub, shower, washing machine, urinal, cabinet, radiator,'
    ' basket, trash can, stool, towel',
    'hall': 'bench, cabinet, plant, chair, box, crate, barrel, fire extinguisher, radiator,'
    ' bicycle, stroller, suitcase, trash can, wheelchair, stairs, ladder, treadmill,'
    ' bookshelf, dresser, clothes rack, washing machine, table',
}
_OPEN_PIECES = {
    'living': 'armchair, chair, stool, table, table, coffee table, coffee table, sofa, game table,'
    ' game table, dog, cat, plant',
    'bedroom': 'chair, chair, stool, bench, teddy bear, box, stroller, cat, armchair, table',
    'kitchen': 'table, table, table, chair, chair, stool, high chair, dog, stool',
    'office': 'desk, table, chair, chair, chair, box, trash can, wheelchair, ladder, person',
    'bathroom': 'stool, basket',
    'hall': 'person, box, chair, bicycle, suitcase, wheelchair, stroller, dog, treadmill, table, stool',
}
USES = tuple(_WALL_PIECES)
USE_SHARES = (0.28, 0.19, 0.22, 0.16, 0.06, 0.09)
_ANYTHING_SHARE = 0.12  # of pieces ignore the room's use, so that no room gives a class away
PERSON_SHARE = 0.12  # of rooms contain a person
_OFTEN_IN_ROWS = ('cabinet', 'bookshelf', 'wardrobe', 'chair', 'dresser')
_NOT_FURNITURE = ('door', 'window', 'picture', 'curtain', 'blinds', 'person', 'ceiling lamp')


def _living_and_dining(context: RoomContext) -> None:
    seating_group(context)
    dining_group(context)


def _kitchen_and_dining(context: RoomContext) -> None:
    fit_kitchen(context)
    dining_group(context)


# One of these groups defines the room.
_MAIN_GROUPS: dict[str, tuple[Callable[[RoomContext], None], ...]] = {
    'living': (seating_group, dining_group, _living_and_dining),
    'bedroom': (bed_group,),
    'kitchen': (fit_kitchen, _kitchen_and_dining),
    'office': (desk_groups, desk_groups, dining_group),
    'bathroom': (lambda context: None,),
    'hall': (seating_group, dining_group, desk_groups, lambda context: None),
}


def furnish(style: Style, models: Sequence[Model], arrangement: Arrangement, use: str) -> None:
    """Place the main group of this use, then fill the walls and the floor, then add clutter."""
    stock = Stock(style, models)
    density = style.rng.choice([0.3, 1.0, 1.0, 1.8])
    clutter = Clutter(style, stock, arrangement, density)
    context = RoomContext(style, stock, arrangement, clutter)
    rng = context.rng
    main_groups = _MAIN_GROUPS[use]
    main_groups[rng.integers(len(main_groups))](context)
    _fill_walls(context, _WALL_PIECES[use].split(', '), int(rng.integers(2, 12)))
    _fill_open(context, _OPEN_PIECES[use].split(', '), int(rng.integers(0, 5)))
    if rng.random() < PERSON_SHARE:
        context.open_piece('person')
    clutter.strew_floor()
    lay_rugs(context, 0.1 if use == 'kitchen' else 0.25)
    hang_things(context)


def _fill_walls(context: RoomContext, labels: list[str], count: int) -> None:
    for _ in range(count):
        found = context.wall_piece(_any_label(context, labels))
        if found and found[2].label in _OFTEN_IN_ROWS and context.rng.random() < 0.3:
            _repeat(context, *found)


def _repeat(context: RoomContext, wall: Wall, u: float, piece: Piece) -> None:
    """Place copies of `piece` next to it along the wall."""
    for step in range(1, context.rng.integers(2, 5)):
        at = u + step * (piece.size[0] + 0.03)
        if context.arrangement.against_wall(piece, wall, at, tries=1) is None:
            return
        pose = wall.frame(at, piece.elevation, piece.size[2] / 2 + 0.03)
        context.clutter.cover(piece, pose)


def _fill_open(context: RoomContext, labels: list[str], count: int) -> None:
    for _ in range(count):
        square = context.rng.random() < 0.3
        turn = context.rng.integers(4) * math.pi / 2 if square else None
        context.open_piece(_any_label(context, labels), turn)


def _any_label(context: RoomContext, labels: list[str]) -> str:
    if context.rng.random() < _ANYTHING_SHARE:
        labels = [label for label in context.stock.labels if label not in _NOT_FURNITURE]
    return labels[context.rng.integers(len(labels))]
