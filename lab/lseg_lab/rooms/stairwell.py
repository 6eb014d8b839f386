# SPDX-License-Identifier: Apache-2.0
"""Build the places where stairs are: halls with an upper floor, and flights sunk in a floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.building import Building, Spot, completed, random_daylight
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.furnishing import furnish
from lseg_lab.rooms.meshes import box, transform
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.plan import Opening, Room, make_room, rectangle, wall_mesh
from lseg_lab.rooms.scene import Item, PointLight
from lseg_lab.rooms.shell import Shell, floor_mesh, floor_surface
from lseg_lab.rooms.staircases import Staircase, random_staircase, straight, world_box
from lseg_lab.rooms.stairs import Steps, railing, random_look, random_steps
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures

_INTO_WALL = 0.005  # metres by which flights reach into the walls beside them
_SLAB = 0.25  # metres: thickness of an upper floor
_HEADROOM = 2.15  # metres: less than this below an upper floor is closed off
_SUNKEN_SHARE = 0.3
_RAILED_FROM = 0.6  # metres: lower edges have no railing
_BEHIND_EDGE = 0.015  # metres from the last riser's front to the face of the floor behind it


def random_stairwell(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a hall with stairs up to another floor, or a room with stairs down."""
    style = Style(rng, textures)
    if rng.random() < _SUNKEN_SHARE:
        return _sunken(style, models)
    return _hall(style, models)


@dataclass(frozen=True, eq=False)
class _Hall:
    """A room with stairs and a floor at their upper end; rectangles are [x0, z0, x1, z1]."""

    stairs: Staircase
    room: Room
    upper: np.ndarray
    closed: bool  # whether the space below the upper floor is walled off

    @property
    def heading(self) -> np.ndarray:
        """Return the horizontal direction [x, z] from the stairs onto the upper floor."""
        return np.round(self.stairs.exit[[0, 2], 2])


def _hall(style: Style, models: Sequence[Model]) -> Building:
    rng = style.rng
    floor = floor_surface(style)
    hall = _planned_hall(rng, random_staircase(style, floor))
    arrangement = Arrangement(rng, hall.room)
    shell = Shell(style, arrangement, 'hall', floor)
    daylight = random_daylight(rng)
    _reserve(arrangement, hall)
    if rng.random() < 0.5:
        _hang_upper_door(shell, hall)
    for _ in range(rng.integers(0, 4)):
        shell.cut_door()
    for _ in range(rng.integers(0, 5)):
        shell.cut_window(daylight)
    shell.close()
    arrangement.items += [*hall.stairs.items, *_upper_floor(shell, hall)]
    if hall.stairs.height > _RAILED_FROM and rng.random() < 0.9:
        arrangement.items += _edge_railing(hall)
    if rng.random() < 0.6:
        furnish(style, models, arrangement, 'hall')
    x, z = (hall.upper[:2] + hall.upper[2:]) / 2
    below = PointLight((x, hall.stairs.height - _SLAB - 0.1, z), _lamp(rng))
    building = completed(shell, models, daylight, () if hall.closed else (below,))
    return replace(building, spots=tuple(_hall_spots(rng, hall)))


def _lamp(rng: np.random.Generator) -> tuple[float, float, float]:
    power = rng.uniform(0.2, 1.2)
    return (power, power * rng.uniform(0.75, 1.0), power * rng.uniform(0.5, 1.0))


def _planned_hall(rng: np.random.Generator, stairs: Staircase) -> _Hall:
    """Draw the room around a staircase, with floor before it and beyond it."""
    low_x, low_z, high_x, high_z = stairs.bounds
    left, right = (-_INTO_WALL if flush else rng.uniform(0.3, 3.0) for flush in stairs.flush)
    x0, z0 = low_x - left, low_z - rng.uniform(1.2, 5.0)
    x1, z1 = high_x + right, high_z - _INTO_WALL
    beyond, (end_x, end_z) = rng.uniform(0.9, 4.0), stairs.exit[[0, 2], 3]
    across, along = np.round(stairs.exit[[0, 2], 2])
    upper = np.array([x0, z0, x1, z1])
    if along > 0:
        upper[1], upper[3] = end_z, end_z + beyond
    elif along < 0:
        upper[1], upper[3] = min(z0, end_z - beyond), end_z
    elif across > 0:
        upper[0], upper[2] = end_x, end_x + beyond
    else:
        upper[0], upper[2] = end_x - beyond, end_x
    outline = rectangle(min(x0, upper[0]), min(z0, upper[1]), max(x1, upper[2]), max(z1, upper[3]))
    room = make_room(outline, stairs.height + rng.uniform(2.2, 2.9))
    low_room = stairs.height - _SLAB < _HEADROOM
    closed = low_room or (along >= 0 and bool(rng.random() < 0.6))
    return _Hall(stairs, room, upper, closed)


def _reserve(arrangement: Arrangement, hall: _Hall) -> None:
    """Keep furniture, doors and windows off the stairs and the upper floor's edge."""
    top = hall.stairs.height
    half = hall.stairs.width / 2
    arrangement.footprints += [*hall.stairs.footprints, np.array([-half, -1.0, half, 0.0])]
    for footprint in hall.stairs.footprints:
        _take(hall.room, footprint, 0.0, top + 0.9)
    _take(hall.room, hall.upper, 0.0 if hall.closed else top - _SLAB - 0.05, top + 0.12)
    if hall.closed:
        arrangement.footprints.append(hall.upper)


def _take(room: Room, area: np.ndarray, bottom: float, top: float) -> None:
    """Mark the walls beside the rectangle `area` as occupied from `bottom` to `top`."""
    x0, z0, x1, z1 = area
    for wall in room.walls:
        away = rectangle(x0, z0, x1, z1) - wall.start
        along, out = away @ wall.along, away @ wall.normal
        if out.min() < 0.4:
            middle, width = (along.min() + along.max()) / 2, along.max() - along.min()
            wall.taken.append(Opening(float(middle), float(width), bottom, top - bottom))


def _hang_upper_door(shell: Shell, hall: _Hall) -> None:
    """Hang a closed door in the wall that the stairs lead to."""
    wall = next(wall for wall in hall.room.walls if wall.normal @ hall.heading < -0.99)
    width = shell.style.rng.uniform(0.75, 1.0)
    if wall.length < width + 0.5:
        return
    u = shell.style.rng.uniform(width / 2 + 0.2, wall.length - width / 2 - 0.2)
    hole = Opening(u, width, hall.stairs.height, 2.0)
    wall.openings.append(hole)
    wall.taken.append(replace(hole, width=width + 0.2))
    shell.hang_door(wall, hole, 0.0)


def _upper_floor(shell: Shell, hall: _Hall) -> list[Item]:
    """Build the upper floor, its edge, and its underside or the wall below it."""
    top, room = hall.stairs.height, make_room(rectangle(*hall.upper), 1.0)
    x0, z0, x1, z1 = hall.upper
    drop = top if hall.closed else _SLAB
    x, z = hall.stairs.exit[[0, 2], 3] + hall.heading * _BEHIND_EDGE
    if hall.heading[0]:
        edge = box(0.02, drop - 0.002, z1 - z0, x, top - drop, (z0 + z1) / 2)
    else:
        edge = box(x1 - x0, drop - 0.002, 0.02, (x0 + x1) / 2, top - drop, z)
    items = [Item(floor_mesh(room, top, True), 'floor', shell.floor_surface), Item(edge, 'wall', shell.wall_surface)]
    if not hall.closed:
        items.append(Item(floor_mesh(room, top - _SLAB, False), 'ceiling'))
    return items


def _edge_railing(hall: _Hall) -> list[Item]:
    """Build a railing along the upper floor's edge, except where the stairs arrive."""
    stairs, axis = hall.stairs, 1 if hall.heading[0] else 0
    first, last = hall.upper[axis], hall.upper[axis + 2]
    arrival, half = stairs.exit[2 if axis else 0, 3], stairs.width / 2
    inset = stairs.exit[[0, 2], 3] + hall.heading * 0.05
    items: list[Item] = []
    for start, end in ((first, arrival - half), (arrival + half, last)):
        if end - start > 0.15:
            place = (
                transform(inset[0], stairs.height, start)
                if axis
                else transform(start, stairs.height, inset[1], math.pi / 2)
            )
            items += _placed(railing(stairs.look, end - start), place)
    return items


def _placed(items: Sequence[Item], frame: np.ndarray) -> list[Item]:
    return [replace(item, matrix=frame @ item.matrix) for item in items]


def _hall_spots(rng: np.random.Generator, hall: _Hall) -> list[Spot]:
    """Return places before, beside, on and above the stairs."""
    stairs, room = hall.stairs, hall.room
    half, (pose, first) = stairs.width / 2, stairs.runs[0]
    near, far = -0.1, max(room.low[1] + 0.15, -3.5)
    aside = np.clip([-half - 0.6, half + 0.6], room.low[0] + 0.15, room.high[0] - 0.15)
    before = np.array([(aside[0], 0.2, far), (aside[1], 1.6, near)])
    spots = [Spot(before, _on_flight(pose, first, 0.1, 0.75), (stairs.label,), 0.1)]
    spots += [Spot(before, _on_flight(pose, first, 0.5, 1.1), (stairs.label,), 0.08)] * 2
    close = np.array([(-half * 0.6, 0.2, max(far, -1.1)), (half * 0.6, 1.3, near)])
    spots.append(Spot(close, _on_flight(pose, first, 0.0, 0.4), (stairs.label,), 0.2))
    for side, edge in ((-1, room.low[0]), (1, room.high[0])):
        if abs(edge) > half + 0.9:
            xs = np.sort([side * (half + 0.5), edge - side * 0.15])
            eye = np.array([(xs[0], 0.3, -0.5), (xs[1], 1.6, first.length)])
            spots.append(Spot(eye, _on_flight(pose, first, 0.1, 0.8), (stairs.label,), 0.1))
    spots += _upper_spots(stairs, min(1.6, _depth(hall)))
    if len(stairs.runs) > 1 or stairs.flush[0] or stairs.flush[1]:
        spots += [_climbing(rng, stairs.label, *stairs.runs[rng.integers(len(stairs.runs))]) for _ in range(2)]
    return spots


def _depth(hall: _Hall) -> float:
    size = hall.upper[2:] - hall.upper[:2]
    return float(size[0 if hall.heading[0] else 1]) - 0.15


def _upper_spots(stairs: Staircase, depth: float) -> list[Spot]:
    """Return places on the upper floor, looking down, for persons and for robots."""
    pose, last = stairs.runs[-1]
    half = stairs.width / 2
    tall = world_box(stairs.exit, (-half * 0.8, 0.9, 0.03), (half * 0.8, 1.7, depth))
    low = world_box(stairs.exit, (-half * 0.8, 0.25, 0.03), (half * 0.8, 0.9, depth * 0.5))
    down = _on_flight(pose, last, 0.0, 0.8)
    return [Spot(tall, down, (stairs.label,), 0.08), Spot(low, down, (stairs.label,), 0.04)]


def _on_flight(pose: np.ndarray, steps: Steps, start: float, end: float) -> np.ndarray:
    """Return a box around the treads between two shares of a flight's length."""
    low = (-0.25 * steps.width, start * steps.height, start * steps.length)
    high = (0.25 * steps.width, max(end * steps.height, 0.1), end * steps.length)
    return world_box(pose, low, high)


def _climbing(rng: np.random.Generator, label: str, pose: np.ndarray, steps: Steps) -> Spot:
    """Return a place on a flight, looking up or down along it."""
    share = rng.uniform(0.2, 0.7)
    level, z = share * steps.height + steps.rise, share * steps.length
    eye = world_box(pose, (-0.2, level + 0.4, z), (0.2, level + 1.6, z))
    span = (share + 0.15, 1.0) if rng.random() < 0.5 else (0.0, share - 0.1)
    return Spot(eye, _on_flight(pose, steps, *span), (label,), 0.12)


def _sunken(style: Style, models: Sequence[Model]) -> Building:
    """Build a furnished room with a straight flight down through its floor."""
    rng = style.rng
    floor = floor_surface(style)
    look = random_look(style)
    if rng.random() < 0.2:
        look = replace(look, tread=floor)
    steps = random_steps(rng, int(rng.choice([rng.integers(2, 7), rng.integers(13, 17)])))
    pit = _Pit(straight(look, steps, (True, True), rng), rng)
    room = pit.room
    arrangement = Arrangement(rng, room)
    use = str(rng.choice(['living', 'office', 'hall']))
    shell = Shell(style, arrangement, use, floor)
    daylight = random_daylight(rng)
    for _ in range(rng.integers(0, 4)):
        shell.cut_door()
    for _ in range(rng.integers(0, 5)):
        shell.cut_window(daylight)
    shell.close()
    arrangement.items += pit.items(shell)
    half = pit.stairs.width / 2
    arrangement.footprints.append(np.array([-half, steps.length, half, steps.length + 0.9]))
    if rng.random() < 0.7:
        furnish(style, models, arrangement, use)
    lamp = PointLight((0.0, -0.5, pit.end + 0.4), _lamp(rng))
    building = completed(shell, models, daylight, (lamp,) if rng.random() < 0.6 else ())
    return replace(building, spots=tuple(pit.spots()))


class _Pit:
    """A flight below a room's floor, the passage at its foot and the opening above it."""

    def __init__(self, stairs: Staircase, rng: np.random.Generator) -> None:
        """Draw the passage, the opening and the room around it; its floor is y = 0."""
        self.stairs, self._rng = stairs, rng
        self._down = transform(0, -stairs.height, 0)
        self._length, self._half = stairs.runs[0][1].length, stairs.width / 2
        self.end = -rng.uniform(0.8, 3.0)  # of the passage, z
        deep = stairs.height > _HEADROOM + _SLAB
        self._open_from = rng.uniform(-0.5, 0.2 * self._length) if deep else self.end
        inner = self._half - _INTO_WALL
        self._hole = np.array([-inner, self._open_from, inner, self._length + _BEHIND_EDGE])
        left, right = rng.uniform(0.6, 2.8, 2)
        outline = rectangle(
            -self._half - left,
            self._open_from - rng.uniform(0.4, 2.5),
            self._half + right,
            self._length + rng.uniform(1.0, 4.0),
        )
        self.room = make_room(outline, rng.uniform(2.3, 3.0))
        self.room.pits.append(self._hole)

    def items(self, shell: Shell) -> list[Item]:
        """Return the flight, the walls, floor and ceiling around it, and railings."""
        depth, inner = self.stairs.height, self._half - _INTO_WALL
        passage = make_room(rectangle(-inner, self.end, inner, self._hole[3]), depth)
        items = _placed(self.stairs.items, self._down)
        items.append(Item(floor_mesh(passage, -depth, True), 'floor', shell.floor_surface))
        for wall in passage.walls:
            items.append(Item(wall_mesh(wall), 'wall', shell.wall_surface, wall.frame(0, -depth)))
        if self._open_from > self.end:
            roof = make_room(rectangle(-inner, self.end, inner, self._open_from), 1.0)
            items.append(Item(floor_mesh(roof, -_SLAB, False), 'ceiling'))
            edge = box(2 * inner, _SLAB - 0.002, 0.02, 0, -_SLAB, self._open_from - 0.01)
            items.append(solid('wall', shell.wall_surface, [edge]))
        if depth > _RAILED_FROM and self._rng.random() < 0.75:
            items += self._railings()
        return items

    def _railings(self) -> list[Item]:
        aside, start = self._half + 0.04, self._open_from
        across = transform(-self._half, 0, start - 0.04, math.pi / 2)
        items = _placed(railing(self.stairs.look, 2 * self._half), across)
        for side in (-1, 1):
            along = railing(self.stairs.look, self._length - start)
            items += _placed(along, transform(side * aside, 0, start))
        return items

    def spots(self) -> list[Spot]:
        """Return places above, beside and below the flight."""
        pose, steps = self._down, self.stairs.runs[0][1]
        target = _on_flight(pose, steps, 0.0, 0.85)
        low, high = self.room.low + 0.15, self.room.high - 0.15
        half, foot = self._half, -self.stairs.height
        near, far = self._length + 0.03, min(self._length + 1.6, high[1])
        tall = np.array([(-half * 0.9, 0.9, near), (half * 0.9, 1.7, far)])
        robot = np.array([(-half * 0.9, 0.25, near), (half * 0.9, 0.9, (near + far) / 2)])
        beside = [
            np.array([(low[0], 1.0, self._open_from), (-half - 0.25, 1.7, self._length)]),
            np.array([(half + 0.25, 1.0, self._open_from), (high[0], 1.7, self._length)]),
        ]
        below = np.array([(-half * 0.7, foot + 0.2, self.end + 0.15), (half * 0.7, foot + 1.5, -0.1)])
        spots = [Spot(tall, target, ('stairs',), 0.1)] * 3
        spots += [Spot(robot, target, ('stairs',), 0.04)] * 2
        spots += [Spot(eye, target, ('stairs',), 0.06) for eye in beside]
        return [*spots, Spot(below, target, ('stairs',), 0.12)]
