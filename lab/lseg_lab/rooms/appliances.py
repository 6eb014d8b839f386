# SPDX-License-Identifier: Apache-2.0
"""Build refrigerators and televisions with random dimensions."""

from __future__ import annotations

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, panel, triple
from lseg_lab.rooms.piece import Piece, solid, whole_top
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style


def _casing(style: Style) -> Surface:
    """Return a casing: usually white enamel, otherwise steel, black or a colour."""
    rng = style.rng
    draw = rng.random()
    if draw < 0.5:
        white = rng.uniform(0.8, 0.97) * (1 + rng.normal(0, 0.01, 3))
        return Surface(tint=triple(white), gloss=rng.choice([0.0, 0.1]))
    if draw < 0.8:
        return style.metal()
    return style.plastic()


def refrigerator(style: Style) -> Piece:
    """Build a refrigerator with one door, two stacked doors or two side by side."""
    rng = style.rng
    width, depth = rng.uniform(0.5, 0.95), rng.uniform(0.55, 0.75)
    height = rng.uniform(0.82, 0.9) if rng.random() < 0.12 else rng.uniform(1.4, 1.95)
    casing = _casing(style)
    body = box(width, height, depth - 0.06, 0, 0, -0.03)
    leaves, grips = _doors(rng, width, height, depth)
    grip = casing.tinted(0.6) if rng.random() < 0.4 else style.metal()
    items = [solid('refrigerator', casing.tinted(0.9), [body]), solid('refrigerator', casing, leaves)]
    if rng.random() < 0.85:
        items.append(solid('refrigerator', grip, grips))
    tops = whole_top(width * 0.9, depth * 0.8, height) if height < 1 else ()
    return Piece('refrigerator', (width, height, depth), tuple(items), tops)


def _doors(rng: np.random.Generator, width: float, height: float, depth: float) -> tuple[list[Mesh], list[Mesh]]:
    """Return the doors for the front of a body of this size, and their vertical handles."""
    split = 1.0 if height < 1 else rng.choice([1.0, rng.uniform(0.3, 0.75)])
    beside = width > 0.75 and rng.random() < 0.6
    columns = (-0.25, 0.25) if beside else (0.0,)
    rows = ((0.0, split), (split, 1.0)) if split < 1 else ((0.0, 1.0),)
    gap = 0.012
    leaf = width / len(columns) - gap
    leaves, grips = [], []
    for column in columns:
        for low, high in rows:
            foot, tall = low * height + 0.03, (high - low) * height - 0.03
            x, z = column * width, depth / 2 - 0.03
            leaves.append(box(leaf, tall - gap, 0.06, x, foot, z))
            hand = (-1 if column > 0 else 1) * (leaf / 2 - 0.05)
            length = min(tall * 0.5, rng.uniform(0.15, 0.7))
            middle = foot + tall - 0.08 - length if low == 0 else foot + 0.06
            grips.append(box(0.025, length, 0.03, x + hand, middle, z + 0.045))
    return leaves, grips


def television(style: Style) -> Piece:
    """Build a flat-screen television, on or off, with or without feet."""
    rng = style.rng
    width = rng.uniform(0.55, 1.5)
    height, rim = width * rng.uniform(0.56, 0.64), rng.uniform(0.005, 0.04)
    lift = rng.uniform(0.03, 0.1) if rng.random() < 0.6 else 0.0
    dark = Surface(tint=(float(rng.choice([0.04, 0.08, 0.15, 0.6])),) * 3, gloss=0.1)
    frame: list[Mesh] = [box(width, height, 0.04, 0, lift)]
    if lift:
        frame += [box(0.05, lift, 0.2, x * width, 0) for x in rng.choice([0.0, 0.3]) * np.array([-1, 1])]
    face = panel(width - 2 * rim, height - 2 * rim).at(0, lift + rim, 0.022)
    if rng.random() < 0.6:
        shown = Surface(tint=(float(rng.uniform(0.02, 0.09)),) * 3, gloss=rng.uniform(0.1, 0.4))
    else:
        face = face.textured(style.textures.pick(rng, 'screen', 'picture', 'outdoors'))
        shown = Surface(emission=rng.uniform(0.2, 1.5))
    items = (solid('television', dark, frame), Item(face, 'television', shown))
    return Piece('television', (width, height + lift, 0.2), items)
