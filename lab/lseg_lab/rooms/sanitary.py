# SPDX-License-Identifier: Apache-2.0
"""Build toilets and washbasins with random dimensions."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.meshes import box, cylinder, lathe, tilt, transform, triple
from lseg_lab.rooms.piece import Piece, solid, whole_top
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style


def _ceramic(style: Style) -> Surface:
    """Return a glazed surface: usually white, occasionally pastel or dark."""
    rng = style.rng
    white = rng.uniform(0.82, 0.98) * np.ones(3)
    if rng.random() < 0.12:
        white = np.clip(rng.uniform(0.2, 0.9) * (1 + rng.normal(0, 0.12, 3)), 0.05, 1)
    return Surface(tint=triple(white), gloss=rng.uniform(0.05, 0.25))


def toilet(style: Style) -> Piece:
    """Build a bowl on a foot in front of a cistern, with its lid closed or open."""
    rng = style.rng
    ceramic = _ceramic(style)
    width, seat, depth = rng.uniform(0.34, 0.4), rng.uniform(0.38, 0.45), rng.uniform(0.6, 0.72)
    long = rng.uniform(0.42, 0.5)  # length of the bowl
    middle = depth / 2 - long / 2
    bowl = lathe([(0.6, 0), (0.55, 0.3), (0.8, 0.75), (1, 0.95), (1, 1), (0.72, 1), (0.5, 0.7), (0, 0.6)], 24).moved(
        transform(0, 0, middle, scale=(width / 2, seat - 0.02, long / 2))
    )
    foot = box(width * 0.55, seat * 0.9, depth - long * 0.6, 0, 0, -depth / 2 + 0.2)
    rear, tank = -depth / 2, rng.uniform(0.3, 0.42)
    cistern = box(rng.uniform(0.36, 0.46), tank, 0.18, 0, seat - 0.03, rear + 0.09)
    items = [solid('toilet', ceramic, [bowl, foot, cistern])]
    items.append(_seat_and_lid(style, ceramic, (width, seat, long), middle, rear))
    return Piece('toilet', (0.46, seat - 0.03 + tank, depth), tuple(items), whole_top(0.36, 0.14, seat - 0.03 + tank))


def _seat_and_lid(style: Style, ceramic: Surface, bowl: tuple[float, float, float], middle: float, rear: float) -> Item:
    """Build the seat and the lid, closed or leaning on the cistern.

    `bowl` is the width, height and length of the bowl.
    """
    rng = style.rng
    width, seat, long = bowl
    ring = lathe([(0.66, 0), (1.02, 0), (1.02, 0.025), (0.66, 0.025)], 24)
    lid = lathe([(1.02, 0.026), (0.98, 0.045), (0, 0.05)], 24)
    oval = transform(0, seat - 0.02, middle, scale=(width / 2, 1, long / 2))
    cover = ceramic if rng.random() < 0.8 else style.paint()
    parts = [ring.moved(oval)]
    if rng.random() < 0.55:
        parts.append(lid.moved(oval))
    else:
        upright = transform(0, seat + long / 2, rear + 0.22) @ tilt('x', math.pi / 2 - 0.1)
        parts.append(lid.moved(upright @ transform(scale=(width / 2, 1, long / 2))))
    return solid('toilet', cover, parts)


def washbasin(style: Style) -> Piece:
    """Build a basin on a column or in a small cabinet, with a tap at its back."""
    rng = style.rng
    ceramic = _ceramic(style)
    width, depth, height = rng.uniform(0.4, 0.75), rng.uniform(0.36, 0.5), rng.uniform(0.8, 0.9)
    profile = [(0.45, 0), (0.85, 0.6), (1, 0.95), (1, 1), (0.9, 1), (0.75, 0.6), (0.2, 0.3), (0, 0.3)]
    bowl = lathe(profile, 24).moved(transform(0, height - 0.16, 0, scale=(width / 2, 0.16, depth / 2)))
    shelf = box(width * 0.9, 0.05, depth * 0.35, 0, height - 0.05, -depth * 0.32)
    items = [solid('sink', ceramic, [bowl, shelf])]
    if rng.random() < 0.5:
        items.append(solid('sink', ceramic, [cylinder(0.09, height - 0.12)]))
    else:
        items += _vanity(style, width, depth, height)
    tap = [
        cylinder(0.02, 0.16, 10).at(0, height, -depth * 0.36),
        box(0.03, 0.025, 0.13, 0, height + 0.13, -depth * 0.36 + 0.055),
    ]
    items.append(solid('sink', style.metal(), tap))
    return Piece('sink', (width + 0.1, height, depth), tuple(items))


def _vanity(style: Style, width: float, depth: float, height: float) -> list[Item]:
    """Build the cabinet under a basin of this size: body, two doors and a slab."""
    case = box(width + 0.1, height - 0.13, depth, 0, 0.0, 0)
    board = style.board()
    side, front = width / 4 + 0.02, depth / 2 + 0.009
    doors = [box(width / 2 - 0.02, height - 0.25, 0.018, sx * side, 0.08, front) for sx in (-1, 1)]
    slab = box(width + 0.14, 0.03, depth + 0.04, 0, height - 0.13)
    return [
        solid('cabinet', board, [case]),
        solid('cabinet', board.tinted(0.92), doors),
        solid('cabinet', style.stone(), [slab]),
    ]
