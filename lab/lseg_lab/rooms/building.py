# SPDX-License-Identifier: Apache-2.0
"""Generate a whole scene: a room, the rooms behind its open doors, furniture and light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.furnishing import USE_SHARES, USES, furnish
from lseg_lab.rooms.meshes import transform, triple
from lseg_lab.rooms.plan import Room, random_room
from lseg_lab.rooms.scene import Item, Lighting, PointLight, Scene, WindowLight
from lseg_lab.rooms.shell import Daylight, Shell, ceiling_light, room_behind
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures

_MAX_LAMPS = 4


@dataclass(frozen=True, eq=False)
class Spot:
    """A place for a camera and what it shows: boxes [2, 3] of minimum and maximum x, y, z."""

    eye: np.ndarray
    target: np.ndarray
    subject: tuple[str, ...]  # classes
    least: float  # share of the picture that the subject must fill


@dataclass(frozen=True, eq=False)
class Building:
    """A scene, the room the cameras stand in, and what camera placement needs to know."""

    scene: Scene
    room: Room
    footprints: tuple[np.ndarray, ...]  # [x0, z0, x1, z1] of each piece on the floor
    focuses: tuple[np.ndarray, ...]  # [x, y, z, size] of each point of interest
    spots: tuple[Spot, ...] = ()  # if there are any, cameras stand nowhere else


def random_building(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a furnished room and whatever is visible through its doors and windows."""
    use = str(rng.choice(USES, p=USE_SHARES))
    room = random_room(rng, corridor=use == 'hall' and rng.random() < 0.6)
    return furnished_room(Style(rng, textures), models, room, use, int(rng.integers(1, 7)))


def furnished_room(style: Style, models: Sequence[Model], room: Room, use: str, doors: int) -> Building:
    """Furnish a room for this use, after trying to cut this many doors."""
    rng = style.rng
    shell = Shell(style, Arrangement(rng, room), use)
    daylight = random_daylight(rng)
    for _ in range(doors):
        shell.cut_door()
    for _ in range(rng.integers(0, 8)):
        shell.cut_window(daylight)
    shell.close()
    furnish(style, models, shell.arrangement, use)
    return completed(shell, models, daylight)


def completed(shell: Shell, models: Sequence[Model], daylight: Daylight, lamps: Sequence[PointLight] = ()) -> Building:
    """Add the rooms behind open doors and all light, with `lamps` besides the ceiling's."""
    style, arrangement = shell.style, shell.arrangement
    rng, room = style.rng, arrangement.room
    items = list(arrangement.items)
    for wall, hole in shell.open_doorways:
        behind = room_behind(rng, room, wall, hole)
        if behind is not None:
            items += _furnished_behind(rng, style.textures, models, behind, daylight)
    fixtures, ceiling_lamps = _ceiling_lights(style, room)
    lighting = random_lighting(rng, daylight, shell.window_lights, [*lamps, *ceiling_lamps])
    scene = Scene((*items, *fixtures), lighting, *_sphere(room))
    return Building(scene, room, tuple(arrangement.footprints), tuple(arrangement.focuses))


def _furnished_behind(
    rng: np.random.Generator, textures: Textures, models: Sequence[Model], room: Room, daylight: Daylight
) -> list[Item]:
    """Furnish a room seen through a door, in a style of its own, lighter or darker."""
    style = Style(rng, textures)
    arrangement = Arrangement(rng, room)
    use = str(rng.choice(USES))
    shell = Shell(style, arrangement, use)
    if rng.random() < 0.5:
        shell.cut_window(daylight)
    if rng.random() < 0.5:
        shell.cut_door()
    shell.close()
    furnish(style, models, arrangement, use)
    shade = np.full(3, rng.choice([rng.uniform(0.2, 0.7), rng.uniform(0.8, 1.15)]))
    return [replace(item, surface=item.surface.tinted(shade)) for item in arrangement.items]


def _sphere(room: Room) -> tuple[tuple[float, float, float], float]:
    middle = (room.low + room.high) / 2
    radius = math.hypot(*(room.high - room.low)) / 2 + 0.5
    return (float(middle[0]), room.height / 2, float(middle[1])), radius


def random_daylight(rng: np.random.Generator) -> Daylight:
    """Draw a bright day, a dull day or night."""
    cool = np.array([0.92, 0.97, 1.05]) * (1 + rng.normal(0, 0.03, 3))
    brightness = rng.choice([rng.uniform(4, 14), rng.uniform(1.5, 4), rng.uniform(0.02, 0.1)], p=[0.55, 0.27, 0.18])
    return Daylight(cool, float(brightness))


def _ceiling_lights(style: Style, room: Room) -> tuple[list[Item], list[PointLight]]:
    """Return ceiling fixtures and the lamps they contain (none if they are off)."""
    rng = style.rng
    middle, size = (room.low + room.high) / 2, room.high - room.low
    count = int(rng.choice([1, 1, 2, 4]))
    warm = np.array([1.0, rng.uniform(0.72, 0.97), rng.uniform(0.45, 0.95)])
    power = rng.uniform(0.5, 3.0) / count
    fixtures: list[Item] = []
    lamps: list[PointLight] = []
    visible = rng.random() < 0.75
    pattern = ceiling_light(style, room.height)
    for index in range(count):
        step = (index - (count - 1) / 2) / count if count > 1 else rng.normal(0, 0.1)
        along = np.array([step, 0]) if size[0] > size[1] else np.array([0, step])
        x, z = middle + along * size * 0.9
        if not room.contains(np.array([[x, z]]))[0]:
            continue
        if visible:
            fixtures += [replace(item, matrix=transform(x, 0, z)) for item in pattern]
        lamps.append(PointLight((x, room.height - 0.25, z), tuple(warm * power)))
    return fixtures, lamps


def random_lighting(
    rng: np.random.Generator, daylight: Daylight, windows: Sequence[WindowLight], lamps: Sequence[PointLight]
) -> Lighting:
    """Combine lamps, daylight, sun and the ambient light that the walls reflect."""
    by_day = bool(windows) and daylight.brightness > 1
    lit = tuple(lamps) if not by_day or rng.random() < 0.45 else ()
    colour = np.mean([lamp.colour for lamp in lit], axis=0) if lit else daylight.colour
    colour = colour / max(colour.max(), 1e-6)
    level = rng.uniform(0.04, 0.4) if by_day else rng.uniform(0.06, 0.55)
    faces = np.array([1.0, 1.0, 1.05, 0.85, 1.0, 1.0])[:, None] * rng.uniform(0.75, 1.25, (6, 1))
    ambient = level * faces * colour * (1 + rng.normal(0, 0.04, (6, 3)))
    x, z = rng.uniform(-2, 2, 2)
    small_lamp = PointLight((x, rng.uniform(0.8, 1.8), z), (0.5, 0.4, 0.25))
    extra = [small_lamp] if rng.random() < 0.2 else []
    direction, sun = _sunshine(rng, windows) if by_day else ((0.0, 1.0, 0.0), 0.0)
    return Lighting(
        np.clip(ambient, 0.01, None),
        (*lit, *extra)[:_MAX_LAMPS],
        tuple(windows),
        direction,
        (sun, sun * 0.93, sun * 0.82),
        float(rng.normal(-0.1, 0.55)),
        rng.uniform(0.4, 0.95),
        rng.choice([0.0, 0.3, 0.8]),
    )


def _sunshine(rng: np.random.Generator, windows: Sequence[WindowLight]) -> tuple[tuple[float, float, float], float]:
    """Return the direction to a sun that shines through one of the windows, and its strength."""
    normal = np.array(windows[int(rng.integers(len(windows)))].normal)
    height, swing = rng.uniform(0.3, 1.1), rng.uniform(-0.9, 0.9)
    side = np.array([normal[2], 0.0, -normal[0]])
    direction = -normal + side * math.tan(swing) + np.array([0, math.tan(height), 0])
    direction /= np.linalg.norm(direction)
    strength = rng.uniform(2.0, 8.0) if rng.random() < 0.4 else 0.0
    return triple(direction), float(strength)
