# SPDX-License-Identifier: Apache-2.0
"""Join flights to straight, turning and spiral staircases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.meshes import transform
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.stairs import Look, Steps, flight, flight_rails, landing, random_look, random_steps, spiral, winders
from lseg_lab.rooms.style import Style

_COUNTS = ((1, 2), (2, 5), (5, 10), (10, 17))  # steps of a straight flight
_COUNT_SHARES = (0.04, 0.26, 0.28, 0.42)
_FLUSH = ((True, True), (True, False), (False, True), (False, False))
_FLUSH_SHARES = (0.4, 0.2, 0.2, 0.2)


@dataclass(frozen=True, eq=False)
class Staircase:
    """Stairs that start at the origin on y = 0 and climb along +z at first."""

    look: Look
    runs: tuple[tuple[np.ndarray, Steps], ...]  # each flight's pose (4x4) and measures
    items: tuple[Item, ...]
    footprints: tuple[np.ndarray, ...]  # [x0, z0, x1, z1] of flights and landings
    exit: np.ndarray  # 4x4: the middle of the upper floor's edge; +z leads onto that floor
    width: float
    flush: tuple[bool, bool]  # whether walls stand at its sides (-x, +x)

    @property
    def height(self) -> float:
        """Return the height of the upper floor, in metres."""
        return float(self.exit[1, 3])

    @property
    def bounds(self) -> np.ndarray:
        """Return [x0, z0, x1, z1] around all of it."""
        corners = np.array(self.footprints)
        return np.concatenate([corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)])


def random_staircase(style: Style, floor: Surface) -> Staircase:
    """Draw any kind of staircase; the treads of some are made of the `floor`'s surface."""
    rng = style.rng
    look = random_look(style)
    if rng.random() < 0.15:
        look = replace(look, tread=floor, riser=floor if rng.random() < 0.5 else look.riser)
    draw = rng.random()
    if draw < 0.6:
        sides = _FLUSH[rng.choice(4, p=_FLUSH_SHARES)]
        return straight(look, random_steps(rng, _count(rng)), sides, rng)
    if draw < 0.93:
        return turning(look, rng)
    return winding(look, rng)


def _count(rng: np.random.Generator) -> int:
    return int(rng.integers(*_COUNTS[rng.choice(len(_COUNTS), p=_COUNT_SHARES)]))


def straight(look: Look, steps: Steps, flush: tuple[bool, bool], rng: np.random.Generator) -> Staircase:
    """Build one flight; `flush` says at which sides (-x, +x) walls will stand."""
    rails = [_rail(rng, side) for side in flush]
    items = [*flight(look, steps), *flight_rails(look, steps, rails)]
    footprint = _footprint(np.eye(4), steps.width, 0, max(steps.length, 0.02))
    end = transform(0, steps.height, steps.length)
    run = (np.eye(4), steps)
    return Staircase(look, (run,), tuple(items), (footprint,), end, steps.width, flush)


def _rail(rng: np.random.Generator, at_wall: bool) -> str:
    if at_wall:
        return 'handrail' if rng.random() < 0.5 else ''
    return 'railing' if rng.random() < 0.75 else ''


def turning(look: Look, rng: np.random.Generator) -> Staircase:
    """Build two flights around a landing or winders, at right angles or back along each other."""
    side = int(rng.choice([-1, 1]))
    quarter = rng.random() < 0.6
    wound = quarter and rng.random() < 0.4
    counts = rng.integers(3, 10, 2) if quarter else rng.integers(8, 10, 2)
    first = replace(random_steps(rng, int(counts[0])), width=rng.uniform(0.75, 1.5))
    second = replace(first, count=int(counts[1]))
    width, gap, level = first.width, rng.uniform(0.06, 0.4), first.height
    if quarter:
        place, size = transform(0, level, first.length), (width, width)
        up = level + 2 * first.rise * wound
        start = transform(side * width / 2, up, first.length + width / 2, side * math.pi / 2)
    else:
        size = (2 * width + gap, rng.uniform(1.0, 1.4) * width)
        place = transform(side * (width + gap) / 2, level, first.length)
        start = transform(side * (width + gap), level, first.length, math.pi)
    mirror = np.diag([side, 1, 1, 1]) if wound else np.eye(4)
    corner = winders(look, first, level) if wound else landing(look, *size, level)
    items = [
        *_railed(look, first, rng, side, np.eye(4)),
        *_moved(corner, place @ mirror),
        *_railed(look, second, rng, side, start),
    ]
    footprints = (
        _footprint(np.eye(4), width, 0, first.length),
        _footprint(place, size[0], 0, size[1]),
        _footprint(start, width, 0, second.length),
    )
    end = start @ transform(0, second.height, second.length)
    flush = (side > 0 or not quarter, side < 0 or not quarter)
    runs = ((np.eye(4), first), (start, second))
    return Staircase(look, runs, tuple(items), footprints, end, width, flush)


def _railed(look: Look, steps: Steps, rng: np.random.Generator, inner: int, frame: np.ndarray) -> Iterator[Item]:
    """Build a flight at `frame` whose `inner` side (-1 or 1) is open and whose other has a wall."""
    outer, open_side = 'handrail' if rng.random() < 0.5 else '', _rail(rng, False)
    rails = (outer, open_side) if inner > 0 else (open_side, outer)
    built = [*flight(look, steps, frame[1, 3]), *flight_rails(look, steps, rails)]
    return _moved(built, frame)


def winding(look: Look, rng: np.random.Generator) -> Staircase:
    """Build a spiral staircase; its measures count along a straight line through its axis."""
    radius = rng.uniform(0.7, 1.2)
    rise = rng.uniform(0.18, 0.21)
    count = int(rng.integers(12, 16))
    spokes = Steps(radius, rise, radius, count)
    where = transform(0, 0, radius)
    items = _moved(spiral(look, spokes, rng.uniform(0.75, 1.05)), where)
    line = Steps(1.6 * radius, rise, 2 * radius / (count - 1), count)
    footprint = _footprint(np.eye(4), 2 * radius, 0, 2 * radius)
    end = transform(0, line.height, 2 * radius)
    run = (np.eye(4), line)
    return Staircase(look, (run,), tuple(items), (footprint,), end, 1.1 * radius, (False, False))


def _moved(items: Sequence[Item], frame: np.ndarray) -> Iterator[Item]:
    return (replace(item, matrix=frame @ item.matrix) for item in items)


def _footprint(frame: np.ndarray, width: float, start: float, end: float) -> np.ndarray:
    low, high = world_box(frame, (-width / 2, 0, start), (width / 2, 0, end))
    return np.array([low[0], low[2], high[0], high[2]])


def world_box(frame: np.ndarray, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """Return [2, 3], the world's box around a box in a frame (4x4) turned by right angles."""
    corners = np.array([(*low, 1.0), (*high, 1.0)]) @ frame[:3].T
    return np.sort(corners, axis=0)
