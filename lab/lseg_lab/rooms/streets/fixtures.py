# SPDX-License-Identifier: Apache-2.0
"""Build street furniture: poles, lamps, signs, traffic lights, bins, benches and fences."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, cylinder, lathe, panel, tilt, transform, triple
from lseg_lab.rooms.patterns import random_colour
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.streets.facades import wall_surface
from lseg_lab.rooms.style import Style


def post_surface(style: Style) -> Surface:
    """Draw galvanised, black or painted metal."""
    rng = style.rng
    draw = rng.random()
    if draw < 0.5:
        return Surface(tint=triple(rng.uniform(0.35, 0.75) * (1 + rng.normal(0, 0.02, 3))))
    if draw < 0.75:
        return Surface(tint=triple(rng.uniform(0.05, 0.15) * np.ones(3)))
    return Surface(tint=triple(random_colour(rng, 0.1, 0.8)))


def street_lamp(style: Style) -> list[Item]:
    """Build a lamp on a mast with an arm, or a low lantern."""
    rng = style.rng
    if rng.random() < 0.3:
        height = rng.uniform(3.0, 4.5)
        mast = lathe([(0.14, 0), (0.1, 0.6), (0.05, 0.7), (0.04, height), (0.12, height + 0.1)], 10)
        lantern = lathe([(0.1, height + 0.1), (0.2, height + 0.5), (0.22, height + 0.52), (0.0, height + 0.7)], 8)
        return [
            solid('street lamp', post_surface(style), [mast]),
            Item(lantern, 'street lamp', Surface(tint=(0.8, 0.8, 0.72))),
        ]
    height, reach = rng.uniform(5.5, 9.5), rng.uniform(0.8, 2.5)
    mast = lathe([(0.1, 0), (0.09, 1.2), (0.06, height * 0.7), (0.045, height)], 10)
    arm = box(0.06, 0.06, reach, 0, height - 0.05, reach / 2).moved(tilt('x', rng.uniform(-0.02, 0.0)))
    head = box(0.25, 0.14, 0.7, 0, height - 0.1, reach)
    return [solid('street lamp', post_surface(style), [mast, arm, head])]


def mast(style: Style) -> list[Item]:
    """Build a telegraph pole or a plain pole."""
    rng = style.rng
    height, foot = rng.uniform(3.5, 9.0), rng.uniform(0.05, 0.16)
    parts = [lathe([(foot, 0), (foot * 0.75, height), (0, height)], 10)]
    if height > 6 and rng.random() < 0.7:
        parts += [box(1.6, 0.1, 0.1, 0, height - drop) for drop in (0.5, 0.95)[: rng.integers(1, 3)]]
    wooden = foot > 0.1 and rng.random() < 0.7
    surface = Surface(style.textures.pick(rng, 'bark'), 0.8) if wooden else post_surface(style)
    return [solid('pole', surface, parts)]


def thin_pole(style: Style) -> list[Item]:
    """Build a slim pole of one thickness, such as carries a sign, a camera or a wire."""
    rng = style.rng
    height, radius = rng.uniform(2.2, 7.0), rng.uniform(0.025, 0.06)
    parts = [cylinder(radius, height, 8)]
    if rng.random() < 0.3:
        parts.append(box(0.3, 0.4, 0.2, 0, rng.uniform(1.2, height - 0.5), 0.12))
    return [solid('pole', post_surface(style), parts)]


def road_sign(style: Style) -> list[Item]:
    """Build one or two sign faces on a post, facing +z."""
    rng = style.rng
    height = rng.uniform(2.0, 3.0)
    items = [solid('pole', post_surface(style), [cylinder(rng.uniform(0.03, 0.05), height, 8)])]
    y = height
    for _ in range(rng.choice([1, 1, 1, 2])):
        size = rng.uniform(0.5, 0.9)
        wide = size * (rng.uniform(1.2, 2.2) if rng.random() < 0.15 else 1.0)
        y -= size
        face = panel(wide, size).at(0, y, 0.06).textured(style.textures.pick(rng, 'traffic sign'))
        items.append(Item(face, 'traffic sign', Surface(emission=0.15)))
    return items


def guide_board(style: Style) -> list[Item]:
    """Build a rectangular board with lettering on two posts."""
    rng = style.rng
    width, height, lift = rng.uniform(1.0, 2.8), rng.uniform(0.4, 1.6), rng.uniform(0.8, 2.2)
    posts = [cylinder(0.04, lift + height, 8).at(side * width * 0.4, 0, -0.03) for side in (-1, 1)]
    board = box(width, height, 0.04, 0, lift).textured(style.textures.pick(rng, 'lettering'))
    return [solid('pole', post_surface(style), posts), Item(board, 'traffic sign')]


def traffic_light(style: Style) -> list[Item]:
    """Build a signal on a post, sometimes with a second one on an arm above the road."""
    rng = style.rng
    height, lit = rng.uniform(2.8, 3.6), int(rng.choice([0, 2, 2, 1]))
    post, boxes, lamps = [cylinder(0.06, height, 10)], [], []
    heads = [(0.0, height - 0.9)]
    if rng.random() < 0.3:
        reach, top = rng.uniform(2.0, 4.5), rng.uniform(5.0, 6.0)
        post += [cylinder(0.08, top, 10), box(reach, 0.1, 0.1, reach / 2, top - 0.1)]
        heads.append((reach, top - 1.0))
    colours = ((0.9, 0.08, 0.06), (0.95, 0.6, 0.05), (0.1, 0.85, 0.4))
    for x, y in heads:
        boxes.append(box(0.32, 0.95, 0.2, x, y, 0.12))
        for index, colour in enumerate(colours):
            disc = cylinder(0.1, 0.03, 14).moved(transform(x, y + 0.78 - 0.3 * index, 0.22) @ tilt('x', math.pi / 2))
            lamps.append(disc.painted(np.array(colour) * (1.0 if index == lit else 0.2)))
    case = Surface(tint=(0.06, 0.07, 0.06))
    return [
        solid('pole', post_surface(style), post),
        solid('traffic light', case, boxes),
        solid('traffic light', Surface(emission=1.0), lamps),
    ]


def bollard(style: Style) -> list[Item]:
    """Build a post of stone, metal or plastic."""
    rng = style.rng
    height, radius = rng.uniform(0.6, 1.1), rng.uniform(0.05, 0.14)
    shaft = lathe([(radius, 0), (radius, height * 0.9), (radius * 0.6, height), (0, height)], 10)
    items = [solid('bollard', post_surface(style), [shaft])]
    if rng.random() < 0.3:
        ring = cylinder(radius * 1.04, 0.1, 10).at(0, height * 0.7, 0)
        items.append(Item(ring, 'bollard', Surface(tint=triple(rng.choice([(0.95, 0.95, 0.95), (0.8, 0.1, 0.1)])))))
    return items


def traffic_cone(style: Style) -> list[Item]:
    """Build an orange cone with white bands."""
    size = style.rng.uniform(0.45, 0.8)
    cone = lathe([(size * 0.2, 0.03), (size * 0.04, size), (0, size)], 12)
    band = lathe([(size * 0.142, size * 0.4), (size * 0.1, size * 0.65)], 12)
    foot = box(size * 0.5, 0.03, size * 0.5)
    orange = Surface(tint=(0.9, style.rng.uniform(0.2, 0.4), 0.08))
    return [solid('traffic cone', orange, [cone, foot]), Item(band, 'traffic cone', Surface(tint=(0.95, 0.95, 0.95)))]


def park_bench(style: Style) -> list[Item]:
    """Build a bench of slats, facing +z."""
    rng = style.rng
    length, backed = rng.uniform(1.2, 2.2), rng.random() < 0.75
    slats = [box(length, 0.04, 0.1, 0, 0.43, z) for z in (-0.18, -0.05, 0.08, 0.2)]
    if backed:
        slats += [box(length, 0.1, 0.035, 0, y, -0.24) for y in (0.58, 0.74)]
    legs = [box(0.07, 0.85 if backed else 0.43, 0.07, side * length * 0.4, 0, -0.24) for side in (-1, 1)]
    legs += [box(0.07, 0.43, 0.07, side * length * 0.4, 0, 0.2) for side in (-1, 1)]
    return [solid('bench', style.board(), slats), solid('bench', post_surface(style), legs)]


def litter_bin(style: Style) -> list[Item]:
    """Build a round street bin or a wheeled dustbin."""
    rng = style.rng
    if rng.random() < 0.5:
        height, radius = rng.uniform(0.75, 1.1), rng.uniform(0.2, 0.3)
        drum = lathe([(radius, 0.05), (radius, height * 0.85), (radius * 1.1, height), (0, height * 1.02)], 14)
        return [solid('trash can', post_surface(style), [drum])]
    body, lid = box(0.55, 0.95, 0.6, 0, 0.08), box(0.6, 0.08, 0.68, 0, 1.03)
    return [solid('trash can', style.plastic(), [body]), solid('trash can', style.plastic(), [lid])]


def shelter(style: Style) -> list[Item]:
    """Build a bus shelter that opens towards +z."""
    rng = style.rng
    width = rng.uniform(2.5, 4.5)
    posts = [box(0.08, 2.4, 0.08, side * width / 2, 0, z) for side in (-1, 1) for z in (-0.6, 0.5)]
    roof = box(width + 0.3, 0.12, 1.5, 0, 2.4)
    poster = box(1.2, 1.7, 0.1, width / 2 - 0.1, 0.3, 0).moved(np.eye(4)).textured(style.textures.pick(rng, 'picture'))
    seat = box(width * 0.7, 0.06, 0.35, 0, 0.45, -0.4)
    rails = [box(width, 0.05, 0.04, 0, y, -0.62) for y in (0.3, 1.2, 2.2)]
    surface = post_surface(style)
    return [
        solid('bus shelter', surface, [*posts, roof, *rails]),
        Item(poster, 'bus shelter'),
        solid('bench', style.board(), [seat]),
    ]


def letter_box(style: Style) -> list[Item]:
    """Build a post box: a pillar or a box on a leg."""
    rng = style.rng
    colour = np.array([(0.75, 0.08, 0.08), (0.9, 0.7, 0.1), (0.1, 0.2, 0.5)][rng.integers(3)])
    if rng.random() < 0.5:
        shape: list[Mesh] = [lathe([(0.22, 0), (0.22, 1.3), (0.25, 1.35), (0.2, 1.48), (0, 1.52)], 14)]
    else:
        shape = [box(0.5, 0.6, 0.35, 0, 0.8), box(0.1, 0.8, 0.1)]
    return [solid('mailbox', Surface(tint=triple(colour * rng.uniform(0.8, 1.1)), gloss=0.05), shape)]


def hydrant(style: Style) -> list[Item]:
    """Build a fire hydrant."""
    rng = style.rng
    shaft = lathe([(0.14, 0), (0.1, 0.05), (0.1, 0.5), (0.13, 0.52), (0.09, 0.62), (0.03, 0.7), (0, 0.72)], 12)
    arms = cylinder(0.05, 0.36, 10).moved(transform(0.18, 0.4, 0) @ tilt('z', math.pi / 2))
    colour = (0.8, 0.1, 0.08) if rng.random() < 0.5 else triple(random_colour(rng, 0.3, 0.95))
    return [solid('fire hydrant', Surface(tint=colour), [shaft, arms])]


FENCES = ('pickets', 'bars', 'mesh', 'boards', 'rails', 'wall')


def fence(style: Style, kind: str, length: float, height: float, surface: Surface) -> list[Item]:
    """Build a fence or garden wall along x, centred."""
    if kind == 'wall':
        cap = box(length, 0.08, 0.34, 0, height)
        return [
            solid('garden wall', surface, [box(length, height, 0.24)]),
            solid('garden wall', surface.tinted(0.85), [cap]),
        ]
    posts = [box(0.08, height + 0.05, 0.08, side * length / 2) for side in (-1, 1)]
    rails = [box(length, 0.06, 0.04, 0, y * height, -0.03) for y in (0.2, 0.85)]
    if kind == 'mesh':
        sheet = panel(length, height)
        sheet.vertices[:, 6:8] *= np.array([length, height], np.float32)
        wire = sheet.textured(style.textures.pick(style.rng, 'wire mesh'))
        return [solid('fence', surface, [*posts, box(length, 0.04, 0.04, 0, height)]), Item(wire, 'fence')]
    if kind == 'rails':
        bars = [box(length, 0.12, 0.05, 0, y * height) for y in (0.3, 0.62, 0.93)]
        return [solid('fence', surface, [*posts, *bars])]
    gap, wide = {'pickets': (0.16, 0.09), 'bars': (0.13, 0.03), 'boards': (0.16, 0.155)}[kind]
    places = np.arange(-length / 2 + gap / 2, length / 2, gap)
    uprights = [box(wide, height, 0.025, x) for x in places]
    return [solid('fence', surface, [*posts, *rails, *uprights])]


def fence_surface(style: Style, kind: str) -> Surface:
    """Draw a fence's or garden wall's material."""
    if kind == 'wall':
        return wall_surface(style)
    if kind in ('bars', 'mesh'):
        return post_surface(style)
    return style.wood() if style.rng.random() < 0.6 else style.paint()
