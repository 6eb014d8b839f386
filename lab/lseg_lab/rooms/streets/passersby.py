# SPDX-License-Identifier: Apache-2.0
"""Build people, walking or riding, bicycles and motorcycles, all facing +z."""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, lathe, tilt, transform, triple
from lseg_lab.rooms.patterns import random_colour
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_LYING = tilt('z', math.pi / 2)


def _limb(length: float, top: float, foot: float) -> Mesh:
    """Build a limb that hangs down from the origin."""
    return lathe([(0, -length), (foot, -length * 0.98), (foot, -length * 0.9), (top, -length * 0.1), (0, 0)], 8)


def _hung(mesh: Mesh, x: float, y: float, swing: float, z: float = 0.0) -> Mesh:
    return mesh.moved(transform(x, y, z) @ tilt('x', -swing))


def _skin(rng: np.random.Generator) -> tuple[float, float, float]:
    return triple(colorsys.hsv_to_rgb(rng.uniform(0.04, 0.08), rng.uniform(0.25, 0.55), rng.uniform(0.3, 0.92)))


def _head(y: float, z: float) -> tuple[list[Mesh], Mesh]:
    """Return the face and neck, and the hair, of somebody whose shoulders are at y and z."""
    face = lathe([(0, 0), (0.05, 0.01), (0.085, 0.1), (0.08, 0.17), (0, 0.23)], 12).at(0, y + 0.05, z)
    hair = lathe([(0.088, 0.11), (0.093, 0.17), (0.05, 0.24), (0, 0.25)], 12).at(0, y + 0.05, z - 0.012)
    return [face, cylinder(0.05, 0.12, 8).at(0, y - 0.04, z)], hair


def _torso(tall: float, wide: float, hip: float, lean: float) -> Mesh:
    outline = [(0.8 * wide, 0), (0.75 * wide, 0.12 * tall), (wide, 0.3 * tall), (0.4 * wide, 0.35 * tall)]
    body = lathe([*outline, (0, 0.36 * tall)], 12)
    return body.moved(transform(0, hip - 0.02, 0) @ tilt('x', lean) @ np.diag([1.0, 1.0, 0.62, 1.0]))


def person(style: Style, seated: bool = False) -> list[Item]:
    """Build somebody who stands, walks or sits on a bicycle, with feet at y = 0."""
    rng = style.rng
    tall = rng.uniform(1.5, 1.9) if rng.random() < 0.85 else rng.uniform(1.0, 1.5)
    swing = 0.0 if rng.random() < 0.3 else rng.uniform(-0.5, 0.5)
    leg, wide = 0.48 * tall, tall * rng.uniform(0.1, 0.135)
    hip, shoulder = leg, 0.82 * tall
    thick = tall * rng.uniform(0.042, 0.055)
    stride = (1.1, 0.5) if seated else (swing, -swing)
    legs = [
        _hung(_limb(leg, thick, thick * 0.6), side * wide * 0.5, hip, angle) for side, angle in zip((-1, 1), stride)
    ]
    shoes = [
        box(0.09, 0.07, 0.25, 0, -leg, 0.05).moved(transform(side * wide * 0.5, hip, 0) @ tilt('x', -angle))
        for side, angle in zip((-1, 1), stride)
    ]
    lean = rng.uniform(0.2, 0.5) if seated else 0.0
    torso = _torso(tall, wide, hip, lean)
    reach, rise = math.sin(lean) * (shoulder - hip), math.cos(lean) * (shoulder - hip) + hip
    bend = (1.0, 1.0) if seated else (-swing * 0.8, swing * 0.8)
    arms = [
        _hung(_limb(0.4 * tall, thick * 0.7, thick * 0.4), side * wide * 1.05, rise, angle, reach)
        for side, angle in zip((-1, 1), bend)
    ]
    head, hair = _head(rise, reach)
    skirted = rng.random() < 0.2 and not seated
    skirt = [lathe([(wide * 1.2, 0), (wide * 0.8, 0.3 * tall)], 12).at(0, hip - 0.28 * tall, 0)] if skirted else []
    trousers = Surface(tint=triple(random_colour(rng, 0.04, 0.5 if rng.random() < 0.8 else 0.9)))
    top = Surface(tint=triple(_cloth(rng)))
    skin = Surface(tint=_skin(rng))
    return [
        solid('person', trousers, [*legs, *skirt]),
        solid('person', top, [torso, *arms]),
        solid('person', skin, head),
        solid('person', style.plastic(), shoes),
        solid('person', Surface(tint=triple(random_colour(rng, 0.04, 0.45))), [hair]),
    ]


def _cloth(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.3:
        return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.95)))
    return random_colour(rng, 0.05, 0.95)


def _ring(radius: float, tube: float, segments: int = 24) -> Mesh:
    """Build a ring around the x axis."""
    section = [(radius + tube, 0), (radius, tube), (radius - tube, 0), (radius, -tube), (radius + tube, 0)]
    return lathe(section, segments).moved(_LYING)


def _bar(start: tuple[float, float], end: tuple[float, float], radius: float) -> Mesh:
    """Build a tube between two points (z, y)."""
    (z0, y0), (z1, y1) = start, end
    length = math.hypot(z1 - z0, y1 - y0)
    return cylinder(radius, length, 6).moved(transform(0, y0, z0) @ tilt('x', math.atan2(z1 - z0, y1 - y0)))


def bicycle(style: Style) -> list[Item]:
    """Build a bicycle."""
    rng = style.rng
    wheel = rng.uniform(0.29, 0.35)
    rear, front, crank, seat, bar = (-0.52, wheel), (0.54, wheel), (-0.06, 0.28), (-0.2, 0.9), (0.42, 0.98)
    tyres = [_ring(wheel, 0.02).at(0, wheel, z) for z in (-0.52, 0.54)]
    spokes = [
        box(0.006, 2 * wheel, 0.006, 0, -wheel).moved(transform(0, wheel, z) @ tilt('x', angle))
        for z in (-0.52, 0.54)
        for angle in np.linspace(0, math.pi, 7)[:-1]
    ]
    tubes = [
        (rear, crank),
        (crank, seat),
        (crank, (0.38, 0.78)),
        ((-0.17, 0.76), (0.38, 0.8)),
        (front, bar),
        (rear, (-0.17, 0.76)),
    ]
    frame = [_bar(*ends, 0.018) for ends in tubes]
    parts = [box(0.14, 0.05, 0.26, 0, 0.9, -0.22), box(0.52, 0.03, 0.03, 0, 0.99, 0.42)]
    dark = Surface(tint=(0.05, 0.05, 0.05))
    grey = Surface(tint=(0.55, 0.55, 0.55))
    paint = Surface(tint=triple(_cloth(rng)))
    return [solid('bicycle', dark, [*tyres, *parts]), solid('bicycle', paint, frame), solid('bicycle', grey, spokes)]


def motorcycle(style: Style) -> list[Item]:
    """Build a motorcycle or scooter."""
    rng = style.rng
    wheel = rng.uniform(0.22, 0.31)
    tyres = [_ring(wheel, 0.06).at(0, wheel, z) for z in (-0.65, 0.68)]
    discs = [cylinder(wheel, 0.03, 14).moved(transform(0.015, wheel, z) @ _LYING) for z in (-0.65, 0.68)]
    body = lathe([(0, -0.55), (0.14, -0.4), (0.2, 0.1), (0.16, 0.4), (0, 0.55)], 12).moved(
        transform(0, 0.72, 0) @ tilt('x', math.pi / 2)
    )
    shield = box(0.34, 0.6, 0.06, 0, 0.45, 0.5).moved(tilt('x', rng.uniform(-0.2, 0.0)))
    parts = [box(0.28, 0.12, 0.7, 0, 0.76, -0.25), box(0.66, 0.04, 0.04, 0, 1.05, 0.45), box(0.3, 0.3, 0.5, 0, 0.3)]
    fork = [_bar((0.68, wheel), (0.45, 1.05), 0.03)]
    paint = Surface(tint=triple(_cloth(rng)), gloss=0.1)
    return [
        solid('motorcycle', Surface(tint=(0.06, 0.06, 0.06)), [*tyres, *parts]),
        solid('motorcycle', Surface(tint=(0.4, 0.4, 0.42)), [*discs, *fork]),
        solid('motorcycle', paint, [body, shield]),
    ]


def rider(style: Style) -> list[Item]:
    """Build somebody on a bicycle."""
    seat = transform(0, 0.12, -0.2)
    return [*bicycle(style), *(replace(item, matrix=seat @ item.matrix) for item in person(style, seated=True))]
