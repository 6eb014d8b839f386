# SPDX-License-Identifier: Apache-2.0
"""Plan a street's cross-section and lay its road, kerbs, pavements and markings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.meshes import Mesh, merge, quads
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.streets.site import Site, ground_surface

START, END = -95.0, 115.0  # ends of the street, in metres along its axis
_PAVED_LIKE_ROADS, _KERBS_LIKE_ROADS = 0.4, 0.3  # shares of pavements and kerbs
_PAINT_LIFT = 0.006  # metres that markings lie above the road


@dataclass(frozen=True)
class Side:
    """One side of a street, from the middle outwards; widths in metres, 0 for what is missing."""

    sign: int  # +1 left, -1 right
    parking: float  # lane for parked cars, at the kerb
    verge: float  # grass between kerb and pavement
    pavement: float


@dataclass(frozen=True)
class Street:
    """A street's cross-section."""

    half: float  # half the width of the driving lanes
    lanes: int
    kerb: float  # height of the kerb
    sides: tuple[Side, Side]

    def kerb_at(self, side: Side) -> float:
        """Return the distance from the middle of the street to the kerb."""
        return self.half + side.parking

    def front(self, side: Side) -> float:
        """Return the distance from the middle of the street to the outer edge of the pavement."""
        return self.kerb_at(side) + 0.15 + side.verge + side.pavement

    def walk(self, side: Side) -> float:
        """Return the distance from the middle of the street to the middle of the pavement."""
        return self.front(side) - max(side.pavement, 0.6) / 2


def random_street(rng: np.random.Generator) -> Street:
    """Draw an alley, a quiet road or a main road."""
    lanes = int(rng.choice([1, 2, 3, 4], p=[0.16, 0.56, 0.1, 0.18]))
    half = lanes * rng.uniform(2.6, 3.5) / 2 + (0.4 if lanes == 1 else 0.0)
    sides = []
    for sign in (1, -1):
        parking = rng.uniform(1.9, 2.4) if rng.random() < 0.5 else 0.0
        verge = rng.uniform(0.8, 3.0) if rng.random() < 0.3 else 0.0
        pavement = 0.0 if rng.random() < 0.06 else rng.choice([rng.uniform(1.2, 2.4), rng.uniform(2.4, 5.0)])
        sides.append(Side(sign, parking, verge, float(pavement)))
    return Street(half, lanes, float(rng.uniform(0.06, 0.16)), (sides[0], sides[1]))


def lay(site: Site, street: Street) -> None:
    """Lay the road and both pavements."""
    rng, style, axis = site.rng, site.style, site.axis
    kind = str(rng.choice(['asphalt', 'cobbles', 'paving'], p=[0.84, 0.12, 0.04]))
    surface = ground_surface(style, kind)
    edges = [street.kerb_at(side) for side in street.sides]
    site.cover('road', surface, axis.strip(START, END, -edges[1], edges[0]))
    for side in street.sides:
        _lay_side(site, street, side, surface)
    if kind == 'asphalt':
        _mark(site, street)
        _crossings(site, street, surface)
    for _ in range(rng.integers(0, 7)):
        _manhole(site, rng.uniform(-15, 45), rng.uniform(-edges[1] + 0.6, edges[0] - 0.6))


def _lay_side(site: Site, street: Street, side: Side, road: Surface) -> None:
    rng, style, axis, up = site.rng, site.style, site.axis, street.kerb
    kerb, front = side.sign * street.kerb_at(side), side.sign * street.front(side)
    inner = kerb + side.sign * 0.15
    tint = rng.uniform(0.6, 1.1)
    stone = Surface(style.textures.pick(rng, 'stone', 'asphalt'), 1.0, (tint, tint, tint * rng.uniform(0.9, 1.0)))
    if rng.random() < _KERBS_LIKE_ROADS:
        stone = road.tinted(rng.uniform(0.9, 1.3))
    profile = [(kerb, -0.02), (kerb, up), (inner, up)]
    site.items.append(Item(axis.sweep(START, END, profile), 'kerb', stone))
    if side.verge:
        edge = inner + side.sign * side.verge
        site.cover('grass', ground_surface(style, 'grass'), axis.strip(START, END, inner, edge, up))
        inner = edge
    if side.pavement:
        kind = str(rng.choice(['paving', 'asphalt', 'cobbles', 'gravel'], p=[0.58, 0.28, 0.1, 0.04]))
        paved = ground_surface(style, kind)
        if rng.random() < _PAVED_LIKE_ROADS:
            paved = road.tinted(rng.uniform(0.85, 1.25))
        site.cover('pavement', paved, axis.strip(START, END, inner, front, up))


def _mark(site: Site, street: Street) -> None:
    """Paint lines between and beside the lanes."""
    rng, axis = site.rng, site.axis
    yellow = rng.random() < 0.2
    paint = np.array([0.9, 0.75, 0.2]) if yellow else np.full(3, rng.uniform(0.65, 0.95))
    surface = Surface(site.style.textures.pick(rng, 'asphalt'), 0.4, tuple((paint * 1.5).clip(0, 1.6).tolist()))
    meshes: list[Mesh] = []
    wide, dash, gap = rng.uniform(0.08, 0.16), rng.uniform(1.5, 4.0), rng.uniform(1.5, 6.0)
    if street.lanes > 1 and rng.random() < 0.8:
        for lane in range(1, street.lanes):
            t = -street.half + 2 * street.half * lane / street.lanes
            for s in np.arange(-80, 100, dash + gap):
                meshes.append(axis.strip(s, s + dash, t - wide / 2, t + wide / 2, _PAINT_LIFT))
    if rng.random() < 0.4:
        for side in street.sides:
            for inset in (0.25, 0.5)[: rng.integers(1, 3)]:
                t = side.sign * (street.half - inset)
                meshes.append(axis.strip(START, END, t - 0.05, t + 0.05, _PAINT_LIFT))
    if meshes:
        site.cover('road', surface, merge(meshes))


def _crossings(site: Site, street: Street, road: Surface) -> None:
    """Paint zebra crossings; the road between the stripes is also labelled `crosswalk`."""
    rng, half = site.rng, street.half
    shade = rng.uniform(1.0, 1.5)
    paint = Surface(site.style.textures.pick(rng, 'asphalt'), 0.4, (shade, shade, shade))
    for s in rng.uniform(2, 50, rng.choice([0, 1, 2, 3], p=[0.45, 0.25, 0.2, 0.1])):
        end, stripe = s + rng.uniform(2.2, 4.0), rng.uniform(0.35, 0.6)
        site.cover('crosswalk', road, site.axis.strip(s, end, -half, half, _PAINT_LIFT + 0.004))
        places = np.arange(-half + 0.3, half - 0.3, 2 * stripe)
        stripes = [site.axis.strip(s, end, t, t + stripe, _PAINT_LIFT + 0.008) for t in places]
        site.cover('crosswalk', paint, merge(stripes))


def _manhole(site: Site, s: float, t: float) -> None:
    half = 0.32
    disc = quads([[(-half, 0, half), (half, 0, half), (half, 0, -half), (-half, 0, -half)]])
    lid = Item(disc.textured(site.style.textures.pick(site.rng, 'manhole cover')), 'manhole cover', shadow=False)
    site.add([lid], site.axis.frame(s, t, _PAINT_LIFT + 0.006, site.rng.uniform(0, 6.3)))
