# SPDX-License-Identifier: Apache-2.0
"""Join flights to straight, turning and spiral staircases; build ramps and escalators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lseg_lab.rooms.meshes import box, transform
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.stairs import (
    Look,
    Steps,
    flight,
    flight_rails,
    landing,
    random_look,
    random_steps,
    sloping,
    spiral,
    winders,
)
from lseg_lab.rooms.style import Style

_COUNTS = ((1, 2), (2, 5), (5, 10), (10, 17))  # steps of a straight flight
_COUNT_SHARES = (0.04, 0.26, 0.28, 0.42)
_RAMP_PARTS, _RAMP_THICKNESS = 8, 0.15
_BALUSTRADE = 0.18  # metres: width of an escalator's sides
_RAMP_SHARE, _ESCALATOR_SHARE = 0.12, 0.1
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
    label: str = 'stairs'  # class of its steps

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
    """Draw a staircase, a ramp or an escalator, some with the surface of the `floor`."""
    rng = style.rng
    look = random_look(style)
    if rng.random() < _RAMP_SHARE:
        return ramp(replace(look, tread=floor) if rng.random() < 0.4 else look, rng)
    if rng.random() < _ESCALATOR_SHARE:
        return escalator(style, look)
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


def ramp(look: Look, rng: np.random.Generator) -> Staircase:
    """Build a ramp that rises by 1 in 5 to 1 in 14; its steps only measure it."""
    height, slope = rng.uniform(0.15, 0.9), 1 / rng.uniform(5, 14)
    length, width = height / slope, rng.uniform(0.8, 2.2)
    steps = Steps(width, height / _RAMP_PARTS, length / (_RAMP_PARTS - 1), _RAMP_PARTS)
    flush = _FLUSH[rng.choice(4, p=_FLUSH_SHARES)]
    surface = sloping(box(width, _RAMP_THICKNESS, length, 0, -_RAMP_THICKNESS, length / 2), slope)
    items = [solid('ramp', look.tread, [surface])]
    if look.strip:
        edges = [box(0.05, 0.004, length, side * (width / 2 - 0.03), 0, length / 2) for side in (-1, 1)]
        items.append(solid('ramp', look.strip, [sloping(edge, slope) for edge in edges]))
    items += flight_rails(look, steps, [_rail(rng, side) for side in flush])
    footprint = _footprint(np.eye(4), width, 0, length)
    end = transform(0, height, length)
    return Staircase(look, ((np.eye(4), steps),), tuple(items), (footprint,), end, width, flush, 'ramp')


def escalator(style: Style, look: Look) -> Staircase:
    """Build a flight of deep metal steps between balustrades with black handrails."""
    rng, dark = style.rng, np.full(3, style.rng.uniform(0.15, 0.6))
    metal = style.metal().tinted(dark)
    yellow = Surface(tint=(0.85, 0.65, 0.05))
    look = replace(
        look, construction='slab', tread=metal, riser=metal.tinted(rng.uniform(0.6, 1.1, 3)), body=metal, nosing=0.0,
        runner=None, strip=yellow if rng.random() < 0.6 else None,
    )  # fmt: skip
    steps = Steps(rng.uniform(0.6, 1.05), rng.uniform(0.19, 0.22), rng.uniform(0.35, 0.4), int(rng.integers(10, 17)))
    items = [*flight(look, steps), *_balustrades(style, steps)]
    labelled = tuple(replace(item, label='escalator') for item in items)
    footprint = _footprint(np.eye(4), steps.width + 2 * _BALUSTRADE, 0, steps.length)
    end = transform(0, steps.height, steps.length)
    run, width = (np.eye(4), steps), steps.width + 2 * _BALUSTRADE
    return Staircase(look, (run,), labelled, (footprint,), end, width, (False, False), 'escalator')


def _balustrades(style: Style, steps: Steps) -> list[Item]:
    rng, long, slope = style.rng, steps.length + steps.going, steps.rise / steps.going
    middle, glazed = long / 2 - steps.going / 2, style.rng.random() < 0.5
    panel = Surface(tint=(0.6, 0.68, 0.7), gloss=0.4) if glazed else style.metal()
    skirts, panels, rails = [], [], []
    for side in (-1, 1):
        x = side * (steps.width / 2 + _BALUSTRADE / 2)
        skirts.append(sloping(box(_BALUSTRADE, 0.5, long, x, -0.1, middle), slope))
        panels.append(sloping(box(0.03 if glazed else _BALUSTRADE * 0.8, 0.75, long, x, 0.3, middle), slope))
        rails.append(sloping(box(0.09, 0.07, long, x, 1.05, middle), slope))
    rubber = Surface(tint=tuple(np.full(3, rng.uniform(0.02, 0.08))))
    parts = ((style.metal(), skirts), (panel, panels), (rubber, rails))
    return [solid('escalator', surface, meshes) for surface, meshes in parts]


def _moved(items: Sequence[Item], frame: np.ndarray) -> Iterator[Item]:
    return (replace(item, matrix=frame @ item.matrix) for item in items)


def _footprint(frame: np.ndarray, width: float, start: float, end: float) -> np.ndarray:
    low, high = world_box(frame, (-width / 2, 0, start), (width / 2, 0, end))
    return np.array([low[0], low[2], high[0], high[2]])


def world_box(frame: np.ndarray, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """Return [2, 3], the world's box around a box in a frame (4x4) turned by right angles."""
    corners = np.array([(*low, 1.0), (*high, 1.0)]) @ frame[:3].T
    return np.sort(corners, axis=0)
