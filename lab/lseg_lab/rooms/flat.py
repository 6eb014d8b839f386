# SPDX-License-Identifier: Apache-2.0
"""Build a flat of five rooms around a corridor, for the recorded drive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.furnishing import furnish
from lseg_lab.rooms.plan import WALL_THICKNESS, Opening, Room, Wall, make_room, rectangle
from lseg_lab.rooms.scene import Item, Lighting, Scene, WindowLight
from lseg_lab.rooms.shell import Daylight, Shell
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures

_HEIGHT = 2.55
_ROOMS = {  # use: (minimum x and z, maximum x and z), metres
    'living': (0.0, 1.64, 4.6, 6.0),
    'kitchen': (4.74, 1.64, 8.4, 5.2),
    'hall': (0.0, 0.0, 8.4, 1.5),
    'bedroom': (0.0, -3.64, 4.0, -0.14),
    'office': (4.14, -3.64, 8.4, -0.14),
}
_PASSAGE = ('living', 'kitchen', (4.67, 3.4), 1.3)
_DOORWAYS = (  # first room, second room, centre of the doorway (x, z), width
    _PASSAGE,
    ('hall', 'kitchen', (6.6, 1.57), 0.95),
    ('hall', 'living', (1.2, 1.57), 0.95),
    ('hall', 'bedroom', (2.0, -0.07), 0.95),
    ('hall', 'office', (6.2, -0.07), 0.95),
)
_DOOR_ANGLE = 1.75  # radians: every door stands open, out of the way
_WINDOWS = {'living': (0, 1), 'kitchen': (1, 0), 'bedroom': (0, -1), 'office': (0, -1)}
WAYPOINTS = (  # from the living room via kitchen and corridor to the bedroom
    (3.9, 5.4),
    (3.2, 4.9),
    (2.6, 4.1),
    (2.9, 3.5),
    (4.0, 3.4),
    (5.4, 3.4),
    (6.4, 3.2),
    (6.6, 2.2),
    (6.6, 1.2),
    (6.0, 0.75),
    (4.6, 0.7),
    (3.0, 0.75),
    (2.15, 0.5),
    (2.0, -0.5),
    (1.7, -1.3),
    (1.2, -1.9),
)
_CLEARANCE = 0.38  # metres kept free on both sides of the path


def furnished_flat(rng: np.random.Generator, textures: Textures, models: Sequence[Model], way: np.ndarray) -> Scene:
    """Build the flat, keeping the floor along `way` ([N, 2] of x, z in metres) free."""
    rooms = {use: make_room(rectangle(*corners), _HEIGHT) for use, corners in _ROOMS.items()}
    for first, second, middle, width in _DOORWAYS:
        _cut_doorway(rooms[first], np.array(middle), width, WALL_THICKNESS)
        _cut_doorway(rooms[second], np.array(middle), width, 0.0)
    daylight = Daylight(np.array([0.95, 0.98, 1.0]), 6.0)
    items: list[Item] = []
    windows: list[WindowLight] = []
    for use, room in rooms.items():
        arrangement = Arrangement(rng, room)
        arrangement.footprints += [
            np.array([x - _CLEARANCE, z - _CLEARANCE, x + _CLEARANCE, z + _CLEARANCE]) for x, z in way
        ]
        style = Style(rng, textures)
        shell = Shell(style, arrangement, use)
        if use in _WINDOWS:
            shell.cut_window(daylight, _wall_towards(room, np.array(_WINDOWS[use])))
        if use == 'hall':
            for wall in room.walls:
                for hole in wall.openings:
                    shell.hang_door(wall, hole, _DOOR_ANGLE)
        shell.close()
        furnish(style, models, arrangement, use)
        items += arrangement.items
        windows += shell.window_lights
    return Scene(tuple(items), _lighting(windows), (4.2, 1.3, 1.2), 7.5)


def _wall_towards(room: Room, outward: np.ndarray) -> Wall:
    return next(wall for wall in room.walls if np.dot(wall.normal, outward) < -0.99)


def _cut_doorway(room: Room, middle: np.ndarray, width: float, depth: float) -> None:
    """Cut a doorway into the wall closest to `middle`."""
    wall = min(room.walls, key=lambda wall: abs(np.dot(middle - wall.start, wall.normal)))
    hole = Opening(float(np.dot(middle - wall.start, wall.along)), width, 0.0, 2.05, depth)
    wall.openings.append(hole)
    wall.taken.append(hole)


def _lighting(windows: Sequence[WindowLight]) -> Lighting:
    """Return the light of a clear day: daylight through each window, much of it reflected."""
    ambient = np.array([0.36, 0.33, 0.4, 0.3, 0.35, 0.33])[:, None] * [1.0, 0.97, 0.92]
    sun = np.array([0.55, 0.62, 0.56])
    return Lighting(
        ambient,
        (),
        tuple(windows),
        tuple(sun / np.linalg.norm(sun)),
        (4.0, 3.8, 3.4),
        exposure_bias=-0.1,
        occlusion=0.8,
        bloom=0.4,
    )
