# SPDX-License-Identifier: Apache-2.0
"""Generate warehouses, workshops, wards, shops, offices and flats full of a folder's models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.building import Building, completed, random_daylight
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.close_views import spots_above
from lseg_lab.rooms.clutter import Clutter
from lseg_lab.rooms.context import RoomContext
from lseg_lab.rooms.decoration import hang_things
from lseg_lab.rooms.furnishing import PERSON_SHARE
from lseg_lab.rooms.meshes import transform
from lseg_lab.rooms.piece import Piece
from lseg_lab.rooms.plan import Room, make_room, random_room, rectangle
from lseg_lab.rooms.shell import Shell
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures

_SETTINGS = ('warehouse', 'industrial', 'hospital', 'shop', 'office', 'home')
_SHARES = (0.24, 0.14, 0.16, 0.16, 0.16, 0.14)
_LARGE = ('warehouse', 'industrial', 'hospital', 'shop')  # settings with halls
_LARGE_SHARE = 0.7  # of their rooms
_WALL_SHARE = 0.5  # of the pieces that stand against a wall
_AT_WALLS = frozenset(
    {
        'air conditioner', 'bookshelf', 'cabinet', 'column', 'curtain', 'door', 'door frame', 'elevator',
        'filing cabinet', 'kitchen cabinet', 'picture', 'range hood', 'refrigerator', 'security camera', 'sign',
        'sink', 'television', 'tv stand', 'wall lamp', 'wall shelf', 'wardrobe', 'window', 'wooden panel',
    }
)  # fmt: skip
_HUNG = 'ceiling lamp'
_LOWEST_LAMP = 2.1  # metres above the floor
_DENSITY = 0.2  # additional pieces per square metre
_FROM_ABOVE = 0.35  # share of rooms whose tables are looked down on, if there are any
_TABLES = ('table', 'desk', 'workbench', 'coffee table', 'bar table', 'side table', 'conference table')
_IN_ROWS = ('shelf', 'pallet', 'box', 'plastic crate', 'table', 'desk', 'office cubicle', 'bench', 'chair', 'bed')


def random_workplace(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a room with the models of one setting; raise ValueError if none has a setting."""
    style = Style(rng, textures)
    stock = Stock(style, models)
    setting, other = map(str, rng.choice(_SETTINGS, 2, replace=False, p=_SHARES))
    (large, small), (strange, more) = stock.labels_of(setting), stock.labels_of(other)
    if not large:
        raise ValueError(f'no model is found in the setting {setting!r}; name a folder of models with --models')
    room = random_hall(rng) if setting in _LARGE and rng.random() < _LARGE_SHARE else random_room(rng, False)
    small = [label for label in (*small, *more) if label != _HUNG]
    building = filled_room(stock, models, room, 'kitchen' if setting == 'hospital' else 'office', large, small, strange)
    return replace(building, spots=spots_above(building)) if rng.random() < _FROM_ABOVE else building


def filled_room(
    stock: Stock,
    models: Sequence[Model],
    room: Room,
    use: str,
    large: Sequence[str],
    small: Sequence[str],
    strange: Sequence[str] = (),
) -> Building:
    """Fill a room with `large` pieces, some of them `strange`, and with `small` things on them.

    `use` is that of the walls and the floor; `models` furnish what is seen through the doors.
    """
    style, rng = stock.style, stock.style.rng
    shell = Shell(style, Arrangement(rng, room), use)
    daylight = random_daylight(rng)
    for _ in range(rng.integers(1, 5)):
        shell.cut_door()
    for _ in range(rng.integers(0, 6)):
        shell.cut_window(daylight)
    shell.close()
    clutter = Clutter(style, stock, shell.arrangement, float(rng.choice([0.5, 1.0, 1.8])), small)
    _fill(RoomContext(style, stock, shell.arrangement, clutter), large, strange)
    return completed(shell, models, daylight)


def random_hall(rng: np.random.Generator) -> Room:
    """Return an empty hall."""
    x, z = rng.uniform(3.0, 7.0, 2)
    return make_room(rectangle(-x, -z, x, z), rng.uniform(3.0, 5.0))


def _fill(context: RoomContext, labels: Sequence[str], strange: Sequence[str]) -> None:
    """Place rows, then single pieces, some of them `strange`, and tables with small things."""
    rng = context.rng
    rows = [label for label in _IN_ROWS if label in labels]
    for _ in range(rng.integers(0, 3) if rows else 0):
        _row(context, rows[rng.integers(len(rows))])
    standing = [label for label in [*labels, *labels, *strange] if label != _HUNG]
    size = context.arrangement.room.high - context.arrangement.room.low
    for _ in range(rng.integers(6, 14) + int(_DENSITY * size.prod())):
        label = standing[rng.integers(len(standing))]
        if label in _AT_WALLS or rng.random() < _WALL_SHARE:
            context.wall_piece(label)
        else:
            context.open_piece(label, rng.integers(4) * math.pi / 2 if rng.random() < 0.6 else None)
    for _ in range(rng.integers(1, 4)):
        context.open_piece(_TABLES[rng.integers(len(_TABLES))])
    if rng.random() < 3 * PERSON_SHARE:
        context.open_piece('person')
    context.clutter.strew_floor()
    hang_things(context)
    if _HUNG in labels and rng.random() < 0.6:
        _hang_lamps(context)


def _row(context: RoomContext, label: str) -> None:
    """Stand several copies of one piece side by side, in one or two rows."""
    rng, arrangement = context.rng, context.arrangement
    piece = context.stock.piece(label)
    if piece is None or piece.size[1] > arrangement.room.height:
        return
    turn = rng.integers(2) * math.pi / 2
    x, z = rng.uniform(arrangement.room.low, arrangement.room.high)
    width, depth = piece.size[0] + rng.uniform(0.03, 0.8), piece.size[2] + rng.uniform(1.0, 2.0)
    for line in range(rng.integers(1, 3)):
        for step in range(-3, 4):
            local = transform(x, 0, z, turn) @ transform(step * width, 0, line * depth)
            pose = arrangement.at(piece, float(local[0, 3]), float(local[2, 3]), turn)
            if pose is not None:
                context.clutter.cover(piece, pose)


def _hang_lamps(context: RoomContext) -> None:
    """Hang copies of a lamp from the ceiling."""
    rng, room = context.rng, context.arrangement.room
    lamp: Piece | None = context.stock.piece(_HUNG)
    if lamp is None or lamp.size[1] > room.height - _LOWEST_LAMP:
        return
    for _ in range(rng.integers(1, 5)):
        x, z = rng.uniform(room.low + 0.5, room.high - 0.5)
        if room.contains(np.array([[x, z]]))[0]:
            context.arrangement.fix(lamp.items, transform(x, room.height - lamp.size[1], z))
