# SPDX-License-Identifier: Apache-2.0
"""Build the bare room: floor, walls, ceiling, doors, windows, and rooms behind open doors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms import fittings
from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.meshes import NO_TEXTURE, Mesh, box, cylinder, lathe, quads
from lseg_lab.rooms.patterns import paint_colour, random_colour
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.plan import (
    WALL_THICKNESS,
    Opening,
    Room,
    Wall,
    lower_part,
    make_room,
    rectangle,
    skirting,
    wall_mesh,
)
from lseg_lab.rooms.scene import Item, Surface, WindowLight
from lseg_lab.rooms.style import Style

_KEEP_CLEAR = 0.7  # metres of floor in front of a doorway
_HIGHEST_BEHIND = 3.1  # metres: rooms behind the doors of a stairwell are as high as others


@dataclass(frozen=True)
class Daylight:
    """The light that comes through windows (linear RGB) and the brightness of the view outside."""

    colour: np.ndarray
    brightness: float


def floor_mesh(room: Room, y: float, up: bool) -> Mesh:
    """Fill the outline at height `y`, facing up or down, with one quad per cell of its grid.

    Only a mesh that faces up leaves out the room's pits.
    """
    corners = np.concatenate([room.outline, *(pit.reshape(2, 2) for pit in room.pits)])
    xs, zs = np.unique(corners[:, 0]), np.unique(corners[:, 1])
    inside = room.contains if up else room.encloses
    cells = []
    for x0, x1 in itertools.pairwise(xs):
        for z0, z1 in itertools.pairwise(zs):
            if inside(np.array([[(x0 + x1) / 2, (z0 + z1) / 2]]))[0]:
                cell = [(x0, y, z1), (x1, y, z1), (x1, y, z0), (x0, y, z0)]
                cells.append(cell if up else cell[::-1])
    return quads(cells)


def floor_surface(style: Style) -> Surface:
    """Draw boards, tiles, carpet, stone, concrete or plain lino."""
    rng = style.rng
    gloss = float(rng.choice([0.0, 0.0, rng.uniform(0.05, 0.5)]))
    if rng.random() < 0.08:  # the furniture's wood: only position tells floor from table
        return replace(style.wood(), gloss=gloss)
    kinds = (('planks',), ('planks', 'parquet'), ('tiles',), ('carpet',), ('stone',), ())
    kind = kinds[rng.choice(len(kinds), p=[0.24, 0.09, 0.24, 0.23, 0.1, 0.1])]
    if not kind:
        return Surface(tint=tuple(random_colour(rng, 0.2, 0.9)), gloss=gloss)
    tint = np.clip(rng.uniform(0.65, 1.25) * (1 + rng.normal(0, 0.06, 3)), 0.2, 1.5)
    gloss = 0.0 if kind == ('carpet',) else gloss
    return Surface(style.textures.pick(rng, *kind), rng.uniform(0.3, 1.0), tuple(tint), gloss)


def wall_surface(style: Style, use: str) -> Surface:
    """Draw a wall finish: mostly painted plaster, else wallpaper, tiles, brick or panelling."""
    rng = style.rng
    wet = use in ('bathroom', 'kitchen')
    shares = [0.55, 0.06, 0.32, 0.03, 0.04] if wet else [0.86, 0.06, 0.01, 0.035, 0.035]
    kind = ('plaster', 'wallpaper', 'tiles', 'brick', 'planks')[rng.choice(5, p=shares)]
    if kind == 'plaster':
        tint = paint_colour(rng)
    else:
        tint = rng.uniform(0.75, 1.1) * (1 + rng.normal(0, 0.05, 3))
    layer = style.textures.pick(rng, kind) if rng.random() < 0.85 or kind != 'plaster' else -1.0
    return Surface(layer, rng.uniform(0.4, 1.2), tuple(np.clip(tint, 0.05, 1.2)))


class Shell:
    """Builds the shell of one room into an arrangement."""

    def __init__(self, style: Style, arrangement: Arrangement, use: str, floor: Surface | None = None) -> None:
        """Build the shell of `arrangement`'s room, in `style`, for a room of this use.

        `floor` is the floor's surface; by default one is drawn.
        """
        self.style, self._rng = style, style.rng
        self.arrangement, self._room = arrangement, arrangement.room
        self.wall_surface = wall_surface(style, use)
        self.floor_surface = floor or floor_surface(style)
        self.window_lights: list[WindowLight] = []
        self.open_doorways: list[tuple[Wall, Opening]] = []

    def close(self) -> None:
        """Add floor, ceiling, walls and skirting; call this after all openings are cut."""
        self._lay_floor()
        ceiling = self._hang_ceiling()
        self._raise_walls(ceiling)

    def _lay_floor(self) -> None:
        """Lay the floor and its continuation through doorways."""
        surface = self.floor_surface
        items = self.arrangement.items
        items.append(Item(floor_mesh(self._room, 0.0, True), 'floor', surface))
        for wall in self._room.walls:
            for hole in wall.openings:
                if hole.bottom == 0 and hole.depth:
                    sill = box(hole.width, 0.01, hole.depth, 0, -0.01, -hole.depth / 2)
                    items.append(Item(sill, 'floor', surface, wall.frame(hole.centre)))

    def _hang_ceiling(self) -> Surface:
        rng, textures = self._rng, self.style.textures
        shade = np.clip(rng.uniform(0.75, 1.0) * (1 + rng.normal(0, 0.02, 3)), 0, 1)
        layer = textures.pick(rng, 'plaster', 'ceiling') if rng.random() < 0.5 else NO_TEXTURE
        if rng.random() < 0.06:
            layer = textures.pick(rng, 'planks', 'wood')
        surface = Surface(layer, rng.uniform(0.4, 1.7), tuple(shade))
        if rng.random() < 0.15:
            surface = self.wall_surface
        mesh = floor_mesh(self._room, self._room.height, False)
        self.arrangement.items.append(Item(mesh, 'ceiling', surface))
        if rng.random() < 0.08:
            beam = self.style.wood() if rng.random() < 0.6 else surface
            self.arrangement.items.append(solid('ceiling', beam, self._beams()))
        return surface

    def _beams(self) -> list[Mesh]:
        """Build parallel beams under the ceiling of the outline's bounding box."""
        rng, room = self._rng, self._room
        (x0, z0), (x1, z1) = room.low, room.high
        thick, drop = rng.uniform(0.08, 0.2), rng.uniform(0.08, 0.25)
        places = np.arange(z0 + rng.uniform(0.2, 0.8), z1 - 0.1, rng.uniform(0.6, 1.4))
        return [box(x1 - x0, drop, thick, (x0 + x1) / 2, room.height - drop, z) for z in places]

    def _raise_walls(self, ceiling: Surface) -> None:
        """Build the walls, sometimes one in a different finish, with skirting and cornice."""
        rng, items, room = self._rng, self.arrangement.items, self._room
        board = self.style.paint() if rng.random() < 0.7 else self.style.wood()
        height, depth = rng.choice([0.0, rng.uniform(0.05, 0.16)]), rng.uniform(0.008, 0.02)
        feature = rng.integers(len(room.walls)) if rng.random() < 0.2 else -1
        other = wall_surface(self.style, '')
        dado = rng.uniform(0.7, 1.6) if rng.random() < 0.1 else 0.0
        cornice = rng.uniform(0.04, 0.12) if rng.random() < 0.2 else 0.0
        for index, wall in enumerate(room.walls):
            surface = other if index == feature else self.wall_surface
            items.append(Item(wall_mesh(wall), 'wall', surface, wall.frame(0)))
            foot = skirting(wall, height, depth) if height else None
            if foot:
                items.append(Item(foot, 'wall', board, wall.frame(0), shadow=False))
            if dado:
                facing = wall_mesh(lower_part(wall, dado))
                items.append(Item(facing, 'wall', other, wall.frame(0, out=0.004), shadow=False))
            if cornice:
                strip = box(wall.length, cornice, 0.06, wall.length / 2, room.height - cornice)
                items.append(Item(strip, 'ceiling', ceiling, wall.frame(0), shadow=False))

    def cut_window(self, daylight: Daylight, wall: Wall | None = None) -> None:
        """Try to put a window with blinds and curtains into `wall`, or into any wall."""
        rng, room = self._rng, self._room
        wall = wall or room.walls[rng.integers(len(room.walls))]
        tall = rng.random() < 0.25
        width = rng.uniform(0.7, min(3.4, max(wall.length - 0.3, 0.71)))
        bottom = rng.uniform(0.0, 0.12) if tall else rng.uniform(0.6, 1.2)
        height = min(rng.uniform(1.95, 2.3) if tall else rng.uniform(0.7, 1.6), room.height - bottom - 0.12)
        hole = Opening(rng.uniform(width / 2, max(wall.length - width / 2, width / 2 + 0.01)), width, bottom, height)
        if not wall.is_free(hole, 0.1):
            return
        wall.openings.append(hole)
        wall.taken.append(hole)
        self._dress_window(wall, hole, daylight)
        x, z = wall.start + wall.along * hole.centre + wall.normal * 0.05
        power = daylight.colour * daylight.brightness * width * height * rng.uniform(0.25, 0.6)
        self.window_lights.append(
            WindowLight((x, bottom + height / 2, z), (wall.normal[0], 0.0, wall.normal[1]), tuple(power))
        )

    def _dress_window(self, wall: Wall, hole: Opening, daylight: Daylight) -> None:
        rng, style = self._rng, self.style
        self._fix(wall, hole, fittings.window(style, hole, daylight.brightness), 0.0)
        if rng.random() < 0.35:
            self._fix(wall, hole, fittings.blinds(style, hole, daylight.brightness), rng.choice([-0.015, 0.03]))
        if rng.random() < 0.5:
            cloths = fittings.curtains(style, hole, -hole.bottom, wall.height - hole.bottom, daylight.brightness)
            self._fix(wall, hole, cloths, rng.uniform(0.06, 0.12))
            wide = min(hole.width * 1.4, wall.length - 0.05)
            wall.taken.append(
                replace(hole, width=wide, bottom=hole.bottom + 0.3, height=wall.height - hole.bottom - 0.3)
            )

    def cut_door(self) -> None:
        """Try to put a closed door, an open door or a passage into some wall."""
        rng, room = self._rng, self._room
        wall = room.walls[rng.integers(len(room.walls))]
        draw = rng.random()
        wide = draw > 0.85
        width = rng.uniform(1.2, 2.6) if wide else rng.uniform(0.72, 1.05)
        height = min(rng.uniform(1.95, 2.15), room.height - 0.08)
        if width > wall.length - 0.15:
            return
        hole = Opening(rng.uniform(width / 2 + 0.05, wall.length - width / 2 - 0.05), width, 0.0, height)
        if not wall.is_free(hole, 0.08):
            return
        wall.openings.append(hole)
        wall.taken.append(replace(hole, width=width + 0.2))
        is_open = draw > 0.5
        inwards = is_open and rng.random() < 0.4
        self.arrangement.keep_clear(wall, hole, width + 0.1 if inwards else _KEEP_CLEAR)
        if is_open:
            self.open_doorways.append((wall, hole))
        if draw < 0.72:
            ajar = rng.random() < 0.3
            angle = (rng.uniform(0.05, 0.4) if ajar else rng.uniform(0.4, 1.6)) if is_open else 0.0
            self.hang_door(wall, hole, -angle if inwards else angle)
        elif rng.random() < 0.6:
            trim = fittings.frame_around(hole, rng.uniform(0.04, 0.12), 0.02, sill=False)
            self._fix(wall, hole, [Item(trim, 'door', self.style.paint())], 0.0)

    def hang_door(self, wall: Wall, hole: Opening, angle: float) -> None:
        """Hang a door in a hole, opened by `angle` radians; positive opens away from this room."""
        paint = self.wall_surface if self._rng.random() < 0.3 else None
        self._fix(wall, hole, fittings.door(self.style, hole, angle, paint), 0.0)

    def _fix(self, wall: Wall, hole: Opening, items: list[Item], out: float) -> None:
        frame = wall.frame(hole.centre, hole.bottom, out)
        self.arrangement.items += [replace(item, matrix=frame @ item.matrix) for item in items]


def room_behind(rng: np.random.Generator, room: Room, wall: Wall, hole: Opening) -> Room | None:
    """Return a rectangular room on the other side of an opening, or None if it would overlap."""
    left, right = (hole.width / 2 + rng.uniform(0.1, 2.5) for _ in range(2))
    depth = rng.uniform(1.0, 5.0)
    near = wall.start + wall.along * hole.centre - wall.normal * WALL_THICKNESS
    corners = np.array(
        [
            near - wall.along * left,
            near + wall.along * right,
            near - wall.along * left - wall.normal * depth,
            near + wall.along * right - wall.normal * depth,
        ]
    )
    (x0, z0), (x1, z1) = corners.min(axis=0), corners.max(axis=0)
    grid = np.array([(x, z) for x in np.linspace(x0, x1, 8) for z in np.linspace(z0, z1, 8)])
    if room.contains(grid).any():
        return None
    behind = make_room(rectangle(x0, z0, x1, z1), min(room.height, _HIGHEST_BEHIND))
    facing = next(other for other in behind.walls if np.dot(other.normal, wall.normal) < -0.99)
    u = float(np.dot(near - facing.start, facing.along))
    matching = replace(hole, centre=u, depth=0.0)
    facing.openings.append(matching)
    facing.taken.append(replace(matching, width=hole.width + 0.2))
    return behind


def ceiling_light(style: Style, height: float) -> list[Item]:
    """Build a lit panel, bowl, tube or pendant for a ceiling at y = `height`."""
    rng = style.rng
    shining = Surface(tint=(1.0, 0.95, 0.88), emission=rng.uniform(2, 9))
    kind = rng.integers(4)
    if kind == 0:
        size = rng.uniform(0.3, 1.2), rng.uniform(0.15, 0.6)
        mesh = box(size[0], 0.03, size[1], 0, height - 0.03)
    elif kind == 1:
        mesh = lathe([(0, height - 0.12), (0.12, height - 0.1), (0.2, height)], 18)
    elif kind == 2:
        mesh = cylinder(0.06, 0.01).at(0, height - 0.011, 0)
    else:
        drop, radius = rng.uniform(0.4, 1.0), rng.uniform(0.1, 0.25)
        shade = lathe([(radius, height - drop), (0.03, height - drop + radius)], 18)
        cord = box(0.008, drop - radius, 0.008, 0, height - drop + radius)
        bulb = lathe([(0, 0), (0.05, 0.03), (0.03, 0.1)], 10).at(0, height - drop + 0.02, 0)
        return [
            Item(shade, 'ceiling lamp', style.paint(), shadow=False),
            Item(cord, 'ceiling lamp', style.plastic(), shadow=False),
            Item(bulb, 'ceiling lamp', shining, shadow=False),
        ]
    return [Item(mesh, 'ceiling lamp', shining, shadow=False)]
