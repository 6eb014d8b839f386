# SPDX-License-Identifier: Apache-2.0
"""Find places close to furniture, looking down on it, close to doors and around single things."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np

from lseg_lab.rooms.building import Building, Spot
from lseg_lab.rooms.plan import Room
from lseg_lab.rooms.scene import Item

_LOOKED_DOWN_ON = {  # class: least share of the picture, without the things on it; weight
    'table': (0.32, 4),
    'desk': (0.3, 4),
    'coffee table': (0.25, 3),
    'counter': (0.25, 4),
    'cabinet': (0.25, 1),
    'dresser': (0.25, 1),
    'game table': (0.3, 2),
    'chair': (0.15, 1),
    'armchair': (0.2, 1),
    'stool': (0.12, 1),
    'bench': (0.2, 1),
    'nightstand': (0.15, 1),
    'side table': (0.15, 1),
    'workbench': (0.25, 3),
    'bar table': (0.2, 3),
    'conference table': (0.3, 3),
}
_SIDEWAYS = 0.5  # metres from the edge of a top to the camera, at most
_AWAY_FROM_WALLS = 0.12  # metres
_SIDES = 3  # from which a thing is looked at
_FILLED = (0.3, 0.9)  # share of a picture's width that a thing takes, if it is not too small
_WIDTH_AT_A_METRE = 1.15  # of a picture of 60 degrees, metres
_NEAREST = 0.32  # metres from a camera to the middle of a thing
_LEAST_OF_A_THING = 0.015  # of a picture


def spots_above(building: Building) -> tuple[Spot, ...]:
    """Return places from which tops and seats of the room fill much of a picture."""
    return tuple(
        _spot_above(building.room, low, high, item.label)
        for item in building.scene.items
        if item.label in _LOOKED_DOWN_ON
        for low, high in [_world_bounds(item)]
        if 0.3 < high[1] < 1.2 and np.prod((high - low)[[0, 2]]) > 0.08
        if building.room.contains(((low + high) / 2)[None, [0, 2]])[0]
        for _ in range(_LOOKED_DOWN_ON[item.label][1])
    )


def _spot_above(room: Room, low: np.ndarray, high: np.ndarray, label: str) -> Spot:
    reach = np.array([_SIDEWAYS, 0.0, _SIDEWAYS])
    eye = np.array([low - reach, high + reach])
    eye[:, 1] = max(1.2, high[1] + 0.4), 1.8
    middle, half = (low + high) / 2, 0.3 * (high - low)
    target = np.array([middle - half, middle + half])
    target[:, 1] = high[1] - 0.4 if 'chair' in label else high[1]
    return Spot(_inside(room, eye), target, (label,), _LOOKED_DOWN_ON[label][0])


def spots_at_doors(building: Building) -> tuple[Spot, ...]:
    """Return places in front of the room's doors."""
    return tuple(
        spot
        for item in building.scene.items
        if item.label == 'door'
        for spot in _spots_at_door(building.room, *_world_bounds(item))
    )


def _spots_at_door(room: Room, low: np.ndarray, high: np.ndarray) -> Iterator[Spot]:
    size, middle = high - low, (low + high) / 2
    across = 0 if size[0] < size[2] else 2  # the axis that leads through the door
    if size[1] < 1.5 or size[across] > 0.3:
        return
    for side in (-1, 1):
        before = middle.copy()
        before[across] += side * 0.6
        if room.contains(before[None, [0, 2]])[0]:
            eye = np.array([middle - 1.4, middle + 1.4])
            eye[:, across] = np.sort(middle[across] + side * np.array([0.6, 3.0]))
            eye[:, 1] = 0.3, 1.7
            half = 0.3 * size
            target = np.array([middle - half, middle + half])
            yield Spot(_inside(room, eye), target, ('door',), 0.18)


def spots_around(rng: np.random.Generator, building: Building, labels: Collection[str]) -> tuple[Spot, ...]:
    """Return places around the things of these classes, from which each fills much of a picture."""
    return tuple(
        spot
        for item in building.scene.items
        if item.label in labels
        for low, high in [_world_bounds(item)]
        for _ in range(_SIDES)
        for spot in _spot_beside(rng, building.room, low, high, item.label)
    )


def _spot_beside(rng: np.random.Generator, room: Room, low: np.ndarray, high: np.ndarray, label: str) -> Iterator[Spot]:
    size, middle = high - low, (low + high) / 2
    away = max(size.max() / (_WIDTH_AT_A_METRE * rng.uniform(*_FILLED)), _NEAREST + size.max() / 2)
    turn, rise = rng.uniform(0, 2 * math.pi), rng.uniform(-0.1, 0.9)
    place = middle + away * np.array([math.sin(turn) * math.cos(rise), math.sin(rise), math.cos(turn) * math.cos(rise)])
    place[1] = np.clip(place[1], 0.15, max(1.9, 0.4 * size[1]))
    if room.contains(place[None, [0, 2]])[0]:
        target = np.array([middle - 0.25 * size, middle + 0.25 * size])
        yield Spot(np.array([place, place]), target, (label,), _LEAST_OF_A_THING)


def _inside(room: Room, eye: np.ndarray) -> np.ndarray:
    """Return the part of the box [2, 3] that lies within the room's bounds."""
    inside = eye.copy()
    low, high = room.low + _AWAY_FROM_WALLS, room.high - _AWAY_FROM_WALLS
    inside[:, [0, 2]] = np.clip(eye[:, [0, 2]], low, high)
    return inside


def _world_bounds(item: Item) -> tuple[np.ndarray, np.ndarray]:
    """Return the minimum and maximum corner of a box around the item, in the world."""
    low, high = item.mesh.bounds
    corners = np.array(np.meshgrid(*zip(low, high))).reshape(3, -1)
    placed = item.matrix[:3, :3] @ corners + item.matrix[:3, 3:]
    return placed.min(axis=1), placed.max(axis=1)
