# SPDX-License-Identifier: Apache-2.0
"""Build trees, bushes and hedges."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from lseg_lab.rooms.meshes import COLOUR, NORMAL, Mesh, box, lathe, quads, tilt, transform
from lseg_lab.rooms.piece import solid
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)


def leaf_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw a leaf colour: mostly green, sometimes that of autumn, dark red or blossom."""
    draw = rng.random()
    if draw < 0.82:
        hue = rng.uniform(0.17, 0.36)
        return np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.25, 0.7), rng.uniform(0.4, 0.95)))
    if draw < 0.93:
        return np.array(colorsys.hsv_to_rgb(rng.uniform(0.03, 0.15), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.85)))
    return np.array(colorsys.hsv_to_rgb(rng.uniform(0.85, 1.0), rng.uniform(0.1, 0.5), rng.uniform(0.35, 0.95)))


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    draws = rng.normal(size=(count, 3))
    return draws / np.linalg.norm(draws, axis=1, keepdims=True)


def sprays(rng: np.random.Generator, centres: np.ndarray, sizes: np.ndarray, outward: np.ndarray, layer: float) -> Mesh:
    """Build randomly turned cards of leaves at `centres`, [N, 3], with half-widths `sizes`, [N].

    `outward`, [N, 3], are their normals for lighting; `layer` is their texture.
    """
    first = _directions(rng, len(centres))
    second = np.cross(first, _directions(rng, len(centres)))
    second /= np.maximum(np.linalg.norm(second, axis=1, keepdims=True), 1e-6)
    corners = centres[:, None] + sizes[:, None, None] * (
        _CORNERS[:, :1] * first[:, None] + _CORNERS[:, 1:] * second[:, None]
    )
    mesh = quads(corners).textured(layer)
    mesh.vertices[:, NORMAL] = np.repeat(outward, 6, axis=0)
    rise = (centres[:, 1] - centres[:, 1].min()) / max(float(np.ptp(centres[:, 1])), 1e-6)
    shade = (0.65 + 0.4 * rise) * rng.uniform(0.8, 1.25, len(centres))
    mesh.vertices[:, COLOUR] = np.repeat(shade, 6)[:, None]
    return mesh


def _crown(style: Style, width: float, height: float, cards: int) -> Mesh:
    """Build a crown of clumps of leaves that fills an ellipsoid standing on y = 0."""
    rng = style.rng
    clumps = int(rng.integers(5, 15))
    half = np.array([width, height, width]) / 2
    middles = _directions(rng, clumps) * rng.uniform(0.2, 0.72, (clumps, 1)) * half + [0, height / 2, 0]
    radii = half.min() * rng.uniform(0.3, 0.6, clumps)
    of = rng.integers(0, clumps, cards)
    out = _directions(rng, cards)
    centres = middles[of] + out * (radii[of] * rng.uniform(0.55, 1.0, cards))[:, None]
    centres[:, 1] = np.maximum(centres[:, 1], 0.02 * height)
    sizes = radii[of] * rng.uniform(0.3, 0.6, cards)
    lit = out + 0.7 * (centres - [0, height / 2, 0]) / half + [0, 0.3, 0]
    lit /= np.linalg.norm(lit, axis=1, keepdims=True)
    return sprays(rng, centres, sizes, lit, style.textures.pick(rng, 'foliage'))


def bark_surface(style: Style) -> Surface:
    """Draw the bark of a tree."""
    tint = style.rng.uniform(0.5, 1.1)
    return Surface(style.textures.pick(style.rng, 'bark'), 1.0, (tint, tint, tint))


def _limb(length: float, foot: float, top: float, segments: int = 6) -> Mesh:
    return lathe([(foot, 0), (0.75 * foot + 0.25 * top, length / 2), (top, length)], segments)


def leafy_tree(style: Style, height: float) -> list[Item]:
    """Build a deciduous tree with a crown of random shape."""
    rng = style.rng
    bare, width = height * rng.uniform(0.15, 0.4), height * rng.uniform(0.4, 0.95)
    thick = height * rng.uniform(0.012, 0.03)
    trunk = [_limb(bare + 0.3 * height, thick * 1.2, thick * 0.5, 8)]
    for _ in range(rng.integers(2, 6)):
        limb = _limb(0.35 * height, thick * 0.5, thick * 0.15)
        lean = tilt('z', rng.uniform(0.4, 0.9))
        trunk.append(limb.moved(transform(0, bare * rng.uniform(0.8, 1.3), 0, rng.uniform(0, 6.3)) @ lean))
    crown = _crown(style, width, height - bare, int(rng.integers(150, 380)))
    surface = Surface(tint=tuple(np.clip(leaf_colour(rng) * rng.uniform(0.85, 1.3), 0, 1).tolist()))
    return [solid('tree', bark_surface(style), trunk), Item(crown.at(0, bare, 0), 'tree', surface)]


def conifer(style: Style, height: float) -> list[Item]:
    """Build a cone or column of needles on a short trunk."""
    rng = style.rng
    bare, radius, cards = (
        height * rng.uniform(0.02, 0.15),
        height * rng.uniform(0.12, 0.28),
        int(rng.integers(160, 340)),
    )
    rise, turn = rng.uniform(0, 1, cards) ** 1.4, rng.uniform(0, 2 * math.pi, cards)
    reach = radius * (1 - rise) ** rng.choice([0.5, 1.0]) * rng.uniform(0.6, 1.0, cards)
    out = np.stack([np.sin(turn), np.full(cards, 0.3), np.cos(turn)], axis=1)
    centres = out * reach[:, None]
    centres[:, 1] = bare + rise * (height - bare)
    needles = sprays(rng, centres, height * (0.03 + 0.05 * (1 - rise)), out, style.textures.pick(rng, 'foliage'))
    green = colorsys.hsv_to_rgb(rng.uniform(0.25, 0.45), rng.uniform(0.2, 0.55), rng.uniform(0.35, 0.7))
    trunk = _limb(height * 0.9, height * 0.02, 0.01)
    return [solid('tree', bark_surface(style), [trunk]), Item(needles, 'tree', Surface(tint=green))]


def bare_tree(style: Style, height: float) -> list[Item]:
    """Build a tree without leaves: limbs that fork four times."""
    rng = style.rng
    limbs: list[Mesh] = []
    spread = rng.uniform(0.3, 0.7)

    def grow(pose: np.ndarray, length: float, thick: float, forks: int) -> None:
        limbs.append(_limb(length, thick, thick * 0.6, 5 if forks > 1 else 3).moved(pose))
        if forks == 0:
            return
        tip = pose @ transform(0, length, 0)
        for _ in range(rng.integers(2, 4)):
            turned = tip @ transform(turn=rng.uniform(0, 6.3)) @ tilt('z', spread * rng.uniform(0.5, 1.4))
            grow(turned, length * rng.uniform(0.6, 0.85), thick * 0.55, forks - 1)

    grow(np.eye(4), height * rng.uniform(0.22, 0.34), height * rng.uniform(0.014, 0.025), 4)
    return [solid('tree', bark_surface(style), limbs)]


def tree(style: Style, height: float, bare: bool = False) -> list[Item]:
    """Build a tree of any sort; if `bare`, one without leaves or a conifer."""
    draw = style.rng.random()
    if draw < 0.15:
        return conifer(style, height)
    if bare or draw > 0.96:
        return bare_tree(style, height)
    return leafy_tree(style, height)


def bush(style: Style, width: float, height: float) -> list[Item]:
    """Build a bush on y = 0."""
    crown = _crown(style, width, height, int(style.rng.integers(40, 110)))
    return [Item(crown, 'bush', Surface(tint=tuple(leaf_colour(style.rng).tolist())))]


def hedge(style: Style, length: float, height: float, depth: float) -> list[Item]:
    """Build a clipped hedge along x, centred, with leaves sticking out of its faces."""
    rng = style.rng
    count = min(160, int(26 * length * (height + depth)) + 8)
    face = rng.integers(0, 3, count)
    place = rng.uniform(-0.5, 0.5, (count, 3)) * [length, height, depth] + [0, height / 2, 0]
    place[face == 0, 1] = height
    place[face == 1, 2], place[face == 2, 2] = depth / 2, -depth / 2
    out = np.array([(0.0, 1.0, 0.1), (0.0, 0.3, 1.0), (0.0, 0.3, -1.0)])[face]
    cards = sprays(rng, place, rng.uniform(0.08, 0.2, count), out, style.textures.pick(rng, 'foliage'))
    colour = leaf_colour(rng) * 0.9
    body = Surface(style.textures.pick(rng, 'leaves'), rng.uniform(0.5, 1.0), tuple((colour * 0.8).tolist()))
    return [Item(box(length, height, depth), 'hedge', body), Item(cards, 'hedge', Surface(tint=tuple(colour.tolist())))]
