# SPDX-License-Identifier: Apache-2.0
"""Build beds, sofas, chairs and their soft parts with random dimensions."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cushion, cylinder, grid, tilt, transform
from lseg_lab.rooms.patterns import crumple
from lseg_lab.rooms.piece import Piece, solid, whole_top
from lseg_lab.rooms.scene import Item
from lseg_lab.rooms.style import Style


def duvet(style: Style, width: float, length: float, top: float) -> Item:
    """Build a cover over a mattress: folds on top, hanging edges; foot of the bed at +z."""
    rng = style.rng
    cells = 32
    drop = rng.uniform(0.1, min(0.4, top))
    at_foot = drop if rng.random() < 0.7 else 0.0
    head = rng.uniform(-0.35, 0.35) * length / 2
    across, hangs = _draped(np.linspace(-1, 1, cells) * (width / 2 + drop), width / 2)
    along, foot_hangs = _draped(np.linspace(length / 2 + at_foot, head, cells), length / 2)
    x, z = np.meshgrid(across, along)
    if rng.random() < 0.3:  # pushed askew
        x = x + 0.1 * width * crumple(rng, cells, cells, 2.5)[:, :1]
    folds = crumple(rng, cells, cells, rng.uniform(1.5, 2.4))
    lying = (hangs[None] == 0) & (foot_hangs[:, None] == 0)
    x = x + np.where(lying, 0, 0.012 * folds)
    unmade = rng.random() < 0.25
    puff = rng.uniform(0.06, 0.13) if unmade else rng.uniform(0.01, 0.06)
    puffs = puff * np.where(lying, 1.0, 0.3)
    y = top + 0.03 + puffs * (1.5 + folds) - np.maximum(hangs[None], foot_hangs[:, None])
    sheet = grid(np.stack([x, np.maximum(y, 0.02), z], axis=2))
    return solid('bed', style.cloth(), [sheet])


def _draped(line: np.ndarray, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where points of a cloth lie across a mattress and how far they hang over its edge."""
    hanging = np.maximum(np.abs(line) - edge, 0.0)
    off_edge = np.where(hanging > 0, np.minimum(0.02 + 0.1 * hanging, 0.05), 0.0)
    return np.clip(line, -edge, edge) + np.sign(line) * off_edge, hanging


def pillow(style: Style, width: float | None = None) -> Item:
    """Build a pillow lying on y = 0."""
    rng = style.rng
    width = width or rng.uniform(0.35, 0.7)
    mesh = cushion(width, rng.uniform(0.09, 0.18), rng.uniform(0.3, 0.45), rng.uniform(2.5, 6))
    return Item(mesh, 'pillow', style.cloth())


def bed(style: Style) -> Piece:
    """Build a frame, a headboard at -z, a mattress, a cover and pillows."""
    rng = style.rng
    width, length, top = rng.uniform(0.85, 2.0), rng.uniform(1.9, 2.15), rng.uniform(0.38, 0.65)
    frame_height = top - rng.uniform(0.12, 0.22)
    head = rng.uniform(top, top + 0.75)
    board = style.board() if rng.random() < 0.7 else style.upholstery()
    sheet = style.cloth()
    low = rng.uniform(0.0, 0.2)
    frame = [box(width + 0.06, frame_height - low, length, 0, low)]
    frame += [box(0.07, low + 0.01, 0.07, sx * width * 0.48, 0, sz * length * 0.47) for sx in (-1, 1) for sz in (-1, 1)]
    if rng.random() < 0.85:
        frame.append(box(width + 0.1, head, 0.06, 0, 0, -length / 2 - 0.03))
    if rng.random() < 0.25:
        frame.append(box(width + 0.1, top + rng.uniform(0, 0.25), 0.05, 0, 0, length / 2 + 0.02))
    mattress = cushion(width, top - frame_height, length - 0.02, 16).at(0, frame_height, 0)
    items = [solid('bed', board, frame), solid('bed', sheet, [mattress])]
    if rng.random() < 0.85:
        items.append(duvet(style, width, length, top))
    if rng.random() < 0.25:
        items.append(duvet(style, width, length * rng.uniform(0.3, 0.6), top + 0.03))
    items += bed_pillows(style, width, length, top)
    return Piece('bed', (width + 0.1, head, length + 0.08), tuple(items))


def bed_pillows(style: Style, width: float, length: float, top: float) -> list[Item]:
    """Build one to six pillows at the head, lying or leaning."""
    rng = style.rng
    items = []
    places = 1 if width < 1.2 else 2
    pattern = style.cloth()
    for place in range(places):
        for layer in range(rng.integers(1, 4)):
            x = (place - (places - 1) / 2) * width * 0.48 + rng.normal(0, 0.05)
            z = -length / 2 + 0.25 + 0.13 * layer + rng.normal(0, 0.03)
            lean = tilt('x', -rng.uniform(0.3, 1.2) if rng.random() < 0.5 else -0.1)
            piece = pillow(style, min(width * 0.45, rng.uniform(0.4, 0.75)))
            surface = pattern if rng.random() < 0.5 else piece.surface
            matrix = transform(x, top + 0.05, z, rng.normal(0, 0.15)) @ lean
            items.append(Item(piece.mesh, 'pillow', surface, matrix))
    return items


def sofa(style: Style, seats: int | None = None) -> Piece:
    """Build a sofa, or an armchair if `seats` is 1, with cushions and sometimes a throw."""
    rng = style.rng
    seats = seats or int(rng.integers(2, 5))
    label = 'armchair' if seats == 1 else 'sofa'
    arm, seat_width = rng.uniform(0.1, 0.26), rng.uniform(0.52, 0.75)
    width, depth = seats * seat_width + 2 * arm, rng.uniform(0.78, 1.0)
    seat, back, arm_height = rng.uniform(0.36, 0.47), rng.uniform(0.65, 1.0), rng.uniform(0.5, 0.7)
    cover = style.upholstery()
    low = rng.uniform(0.02, 0.15)
    base = [box(width - 2 * arm, seat - 0.15 - low, depth - 0.06, 0, low)]
    base.append(_leaning_back(width - 1.6 * arm, back, depth))
    power = rng.choice([3.0, 6.0, 14.0])
    rest = cushion(arm * 1.1, arm_height - low, depth, power)
    base += [rest.at(side * (width - arm) / 2, low, 0) for side in (-1, 1)]
    xs = [(index - (seats - 1) / 2) * seat_width for index in range(seats)]
    base += [cushion(seat_width - 0.01, 0.2, depth - 0.2, 8).at(x, seat - 0.17, 0.08) for x in xs]
    lean = tilt('x', -1.25)
    base += [
        cushion(seat_width * 0.98, 0.2, back - seat + 0.05, 4).moved(
            transform(x, (seat + back) / 2, -depth / 2 + 0.16) @ lean
        )
        for x in xs
    ]
    items = [solid(label, cover, base), solid(label, style.wood(), _feet(width, depth, low))]
    items += _seat_pillows(style, xs, seat, depth)
    if rng.random() < 0.15:
        items.append(_throw(style, label, width, seat, back, depth))
    return Piece(label, (width, back, depth), tuple(items))


def _leaning_back(width: float, height: float, depth: float) -> Mesh:
    return cushion(width, height, 0.2, 10).at(0, 0.05, -depth / 2 + 0.1)


def _feet(width: float, depth: float, height: float) -> list[Mesh]:
    return [
        box(0.05, height + 0.02, 0.05, sx * (width / 2 - 0.06), 0, sz * (depth / 2 - 0.06))
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]


def _seat_pillows(style: Style, xs: list[float], seat: float, depth: float) -> list[Item]:
    rng = style.rng
    items = []
    for _ in range(rng.integers(0, len(xs) + 2)):
        piece = pillow(style, rng.uniform(0.36, 0.5))
        x = xs[rng.integers(len(xs))] + rng.normal(0, 0.12)
        lean = tilt('x', -rng.uniform(0.9, 1.3))
        matrix = transform(x, seat + 0.2, -depth / 2 + rng.uniform(0.3, 0.42), rng.normal(0, 0.3)) @ lean
        items.append(Item(piece.mesh, 'pillow', piece.surface, matrix))
    return items


def _throw(style: Style, label: str, width: float, seat: float, back: float, depth: float) -> Item:
    """Build a blanket over back and seat; it is labelled as the seat it covers."""
    rng = style.rng
    path = [
        (-depth / 2 - 0.03, seat),
        (-depth / 2 - 0.02, back + 0.02),
        (-depth / 2 + 0.22, back + 0.03),
        (-depth / 2 + 0.33, seat + 0.06),
        (depth / 2 + 0.02, seat + 0.07),
        (depth / 2 + 0.05, seat - 0.2),
    ]
    z, y = np.array(path).T
    steps = np.linspace(0, len(path) - 1, 24)
    z, y = (np.interp(steps, range(len(path)), values) for values in (z, y))
    columns = np.linspace(-0.5, 0.5, 10) * rng.uniform(0.4, 0.9)
    x = columns[None] + rng.uniform(-0.3, 0.3) * width + 0.03 * crumple(rng, 24, 10, 2.0)
    y = y[:, None] + 0.012 * (1 + crumple(rng, 24, 10, 1.5))
    points = np.stack([x, y, np.repeat(z[:, None], 10, 1)], axis=2)
    return solid(label, style.cloth(), [grid(points)])


def chair(style: Style) -> Piece:
    """Build a chair with four legs and a back of slats or a panel, or an office chair."""
    rng = style.rng
    width, depth, seat = rng.uniform(0.38, 0.5), rng.uniform(0.38, 0.5), rng.uniform(0.42, 0.48)
    height = rng.uniform(0.78, 1.1)
    frame = style.wood() if rng.random() < 0.6 else style.metal()
    cover = frame if rng.random() < 0.35 else style.upholstery()
    kind = rng.random()
    if kind < 0.25:
        return _office_chair(style, width + 0.06, depth + 0.04, seat, height)
    if kind < 0.4:
        return _covered_chair(style, width + 0.05, depth + 0.08, seat, height)
    leg = rng.uniform(0.022, 0.045)
    x, z = width / 2 - leg / 2, depth / 2 - leg / 2
    legs = [box(leg, seat, leg, sx * x, 0, z) for sx in (-1, 1)]
    legs += [box(leg, height, leg, sx * x, 0, -z) for sx in (-1, 1)]
    soft = rng.random() < 0.5
    thick = rng.uniform(0.02, 0.07)
    pad = cushion(width, thick + 0.03, depth, 8) if soft else box(width, thick, depth)
    items = [
        solid('chair', frame, legs + _chair_back(rng, width, depth, seat, height)),
        solid('chair', cover, [pad.at(0, seat - thick / 2, 0)]),
    ]
    return Piece('chair', (width, height, depth), tuple(items))


def _chair_back(rng: np.random.Generator, width: float, depth: float, seat: float, height: float) -> list[Mesh]:
    z = -depth / 2 + 0.02
    kind = rng.integers(3)
    if kind == 0:
        return [box(width, height - seat - 0.15, 0.025, 0, seat + 0.15, z)]
    rail = [box(width, 0.07, 0.03, 0, height - 0.07, z)]
    if kind == 1:
        return rail + [
            box(0.03, height - seat, 0.015, x, seat, z) for x in np.linspace(-0.35, 0.35, rng.integers(3, 7)) * width
        ]
    return rail + [box(width, 0.05, 0.02, 0, y, z) for y in np.linspace(seat + 0.15, height - 0.17, rng.integers(1, 4))]


def _covered_chair(style: Style, width: float, depth: float, seat: float, height: float) -> Piece:
    """Build a dining or wing chair whose seat and high back are fully upholstered."""
    rng = style.rng
    cover, foot = style.upholstery(), rng.uniform(0.1, 0.3)
    body = [cushion(width, seat - foot, depth, 12).at(0, foot, 0)]
    back = cushion(width, height + 0.05 - seat, 0.13, 10).at(0, seat - 0.02, -depth / 2 + 0.06)
    body.append(back)
    if rng.random() < 0.3:
        body += [cushion(0.1, 0.4, depth * 0.8, 8).at(sx * width / 2, seat - 0.1, -0.04) for sx in (-1, 1)]
    items = (solid('chair', cover, body), solid('chair', style.wood(), _feet(width, depth, foot)))
    return Piece('chair', (width + 0.1, height + 0.05, depth), items)


def _office_chair(style: Style, width: float, depth: float, seat: float, height: float) -> Piece:
    rng = style.rng
    frame, cover = style.plastic(), style.upholstery()
    arms = [box(0.33, 0.035, 0.05, 0.16, 0.04).moved(transform(turn=angle)) for angle in np.arange(5) * 2 * math.pi / 5]
    stand = [*arms, cylinder(0.03, seat - 0.05, 10)]
    if rng.random() < 0.6:
        stand += [box(0.05, 0.03, depth * 0.6, sx * width / 2, seat + 0.2) for sx in (-1, 1)]
        stand += [box(0.04, 0.2, 0.06, sx * width / 2, seat) for sx in (-1, 1)]
    back = cushion(width * 0.9, 0.07, height - seat, 6).moved(
        transform(0, (seat + height) / 2 + 0.05, -depth / 2) @ tilt('x', -1.5)
    )
    pads = [cushion(width, 0.09, depth, 6).at(0, seat - 0.05, 0), back]
    items = (solid('chair', frame, stand), solid('chair', cover, pads))
    return Piece('chair', (width + 0.1, height, depth + 0.1), items)


def ottoman(style: Style) -> Piece:
    """Build a padded stool, round or square."""
    rng = style.rng
    width, height = rng.uniform(0.4, 1.0), rng.uniform(0.35, 0.48)
    depth = width if rng.random() < 0.6 else rng.uniform(0.4, 0.7)
    foot = rng.uniform(0.02, 0.14)
    if rng.random() < 0.3:
        depth = width
        body = [
            cylinder(width / 2, height - foot - 0.06, 24).at(0, foot, 0),
            cushion(width, 0.12, width, 2.0, 12).at(0, height - 0.1, 0),
        ]
    else:
        body = [cushion(width, height - foot, depth, 14).at(0, foot, 0)]
    items = (
        solid('stool', style.upholstery(), body),
        solid('stool', style.wood(), _feet(width * 0.85, depth * 0.85, foot + 0.05)),
    )
    return Piece('stool', (width, height, depth), items, whole_top(width * 0.6, depth * 0.6, height))
