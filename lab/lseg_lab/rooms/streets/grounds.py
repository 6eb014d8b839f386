# SPDX-License-Identifier: Apache-2.0
"""Generate open grounds: parks with paths, car parks and yards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lseg_lab.rooms.building import Building
from lseg_lab.rooms.meshes import merge
from lseg_lab.rooms.scene import Surface
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.streets import facades, fixtures, traffic, vegetation
from lseg_lab.rooms.streets.axis import Axis
from lseg_lab.rooms.streets.site import Site, ground_surface, land

_PARK_THINGS = (
    (fixtures.park_bench, ('bench',)),
    (fixtures.litter_bin, ('trash can', 'recycling bin')),
    (fixtures.street_lamp, ('street lamp',)),
    (fixtures.guide_board, ()),
)
_PARK_MODELS = ('fountain', 'gazebo', 'playground', 'drone', 'utility vehicle', 'bicycle', 'dog', 'stroller')
_DISPLAY_GROUNDS = (
    ('grass', 'grass'), ('asphalt', 'road'), ('paving', 'pavement'), ('gravel', 'gravel'),
)  # fmt: skip
_LIFT = 0.02  # metres that a path lies above its lawn, so that it hides it


def random_grounds(stock: Stock) -> Building:
    """Generate a park, a car park or a yard."""
    rng = stock.style.rng
    bend = rng.choice([0.0, -1.0, 1.0]) / rng.uniform(60, 200)
    kind = str(rng.choice(['park', 'car park', 'yard'], p=[0.42, 0.33, 0.25]))
    if kind == 'park':
        return _park(Site(stock, Axis(float(bend))))
    return _car_park(Site(stock, Axis())) if kind == 'car park' else _yard(Site(stock, Axis()))


def _park(site: Site) -> Building:
    """Build a lawn with a path, trees, bushes, benches and people."""
    rng, style, axis = site.rng, site.style, site.axis
    land(site, -0.03)
    site.cover('grass', ground_surface(style, 'grass'), axis.strip(-80, 80, -40, 40))
    half = rng.uniform(0.9, 2.6)
    kind = str(rng.choice(['gravel', 'asphalt', 'paving'], p=[0.4, 0.35, 0.25]))
    label = 'gravel' if kind == 'gravel' else 'pavement'
    path = ground_surface(style, kind)
    site.cover(label, path, axis.strip(-80, 80, -half, half, _LIFT))
    for s in rng.uniform(-25, 40, rng.integers(0, 3)):
        site.cover(label, path, axis.strip(s, s + 1.6 * half, half, 40, _LIFT))
    for _ in range(rng.integers(8, 40)):
        site.plant_tree(rng.uniform(-70, 70), rng.choice([-1, 1]) * rng.uniform(half + 1, 38), 0.0)
    for _ in range(rng.integers(0, 20)):
        site.plant_bush(rng.uniform(-50, 60), rng.choice([-1, 1]) * rng.uniform(half + 1, 25), 0.0)
    for _ in range(rng.integers(1, 10)):
        side = rng.choice([-1, 1])
        build, models = _PARK_THINGS[rng.integers(len(_PARK_THINGS))]
        site.try_add(build, rng.uniform(-20, 40), side * (half + 0.6), 0.0, -side * math.pi / 2, 0.8, models)
    for _ in range(rng.integers(0, 4)):
        site.try_model(_PARK_MODELS, rng.uniform(-20, 45), rng.choice([-1, 1]) * rng.uniform(half + 2, 18), 0.0)
    _border(site, 38.0)
    _wanderers(site, half)
    for _ in range(6):
        along = rng.choice([0.0, math.pi])
        site.stand(rng.uniform(-20, 25), rng.uniform(-half, half) * 0.7, _LIFT, (0.3, 1.3), along + rng.normal(0, 0.25))
        side = rng.choice([-1, 1])
        look = -side * rng.uniform(0.3, 2.8)  # across the path
        site.stand(rng.uniform(-20, 25), side * rng.uniform(half + 0.5, half + 5), 0.0, (0.3, 1.8), look)
    return site.finished()


def displayed_outdoors(stock: Stock, labels: Sequence[str]) -> Building:
    """Stand models of these classes on a lawn, a square or a car park, without cameras."""
    site, rng = Site(stock, Axis()), stock.style.rng
    land(site, -0.06)
    kind, label = _DISPLAY_GROUNDS[rng.integers(len(_DISPLAY_GROUNDS))]
    site.cover(label, ground_surface(stock.style, kind), site.axis.strip(-40, 40, -36, 36))
    for _ in range(rng.integers(0, 12)):
        site.plant_tree(rng.uniform(-35, 35), rng.uniform(-35, 35), 0.0)
    for label in (*labels, *labels):
        site.try_model((label,), rng.uniform(-14, 14), rng.uniform(-14, 14), 0.0)
    _border(site, 36.0)
    _wanderers(site, 10.0)
    return site.finished()


def _wanderers(site: Site, half: float) -> None:
    rng = site.rng
    for _ in range(rng.integers(0, 10)):
        where = rng.uniform(-40, 50), rng.uniform(-half, half) if rng.random() < 0.7 else rng.uniform(-15, 15)
        if site.is_free(*where, 0.4):
            site.add(traffic.somebody(site), site.axis.frame(*where, 0.02, rng.uniform(0, 2 * math.pi)))
            site.take(*where, 0.3, 0.3)


def _border(site: Site, t: float) -> None:
    """Close both sides with houses, a hedge, a fence or trees."""
    rng = site.rng
    for side in (-1, 1):
        kind = str(rng.choice(['houses', 'hedge', 'fence', 'trees']))
        if kind == 'houses':
            s = -70.0
            while s < 75:
                width = rng.uniform(9, 22)
                house = facades.random_house(site.style, width * 0.9, int(rng.integers(1, 5)), False, t < 30)
                site.add(facades.build(site.style, house), site.axis.facing(s, side * t, side))
                s += width
        elif kind == 'trees':
            for _ in range(30):
                site.plant_tree(rng.uniform(-75, 75), side * rng.uniform(t - 2, t + 14), 0.0)
        else:
            _fence_off(site, kind, side, t)


def _fence_off(site: Site, kind: str, side: int, t: float) -> None:
    rng, style = site.rng, site.style
    built = str(rng.choice(fixtures.FENCES))
    surface, height = fixtures.fence_surface(style, built), rng.uniform(0.9, 2.2)
    for s in np.arange(-70, 75, 4.0):
        if kind == 'hedge':
            items = vegetation.hedge(style, 4.0, height, 0.8)
        else:
            items = fixtures.fence(style, built, 4.0, height, surface)
        site.add(items, site.axis.facing(s, side * t, side))


def _car_park(site: Site) -> Building:
    """Build rows of bays with parked cars."""
    rng, style, axis = site.rng, site.style, site.axis
    land(site, -0.06)
    kind = str(rng.choice(['asphalt', 'paving', 'gravel'], p=[0.7, 0.2, 0.1]))
    half = rng.uniform(16, 34)
    label = 'gravel' if kind == 'gravel' else 'road'
    site.cover(label, ground_surface(style, kind), axis.strip(-50, 60, -half, half))
    bay, aisle, share = rng.uniform(2.4, 2.8), rng.uniform(5.5, 8.0), rng.uniform(0.2, 0.9)
    paint = Surface(tint=(0.85, 0.85, 0.82))
    lines = []
    for t in np.arange(-half + 3, half - 3, 5.0 + aisle):
        for s in np.arange(-40, 50, bay):
            lines.append(axis.strip(s - 0.05, s + 0.05, t - 2.4, t + 2.4, 0.006))
            if rng.random() < share:
                piece = traffic.any_car(site)
                turn = rng.choice([-1, 1]) * math.pi / 2
                site.add(piece.items, axis.frame(s + bay / 2, t + rng.normal(0, 0.2), 0, turn + rng.normal(0, 0.03)))
                site.take(s + bay / 2, t, 1.0, 2.3)
        if rng.random() < 0.3:
            for s in np.arange(-40, 50, rng.uniform(8, 20)):
                site.plant_tree(s, t + 2.9, 0.0, (0.5, 0.9))
        site.try_add(fixtures.street_lamp, rng.uniform(-20, 30), t + 2.9, 0.0, 0.0)
    site.cover(label, paint, merge(lines))
    _border(site, half + 3)
    _wanderers(site, half * 0.8)
    for _ in range(9):
        where = rng.uniform(-20, 25), rng.uniform(-0.8, 0.8) * half
        site.stand(*where, 0.0, (0.3, 1.8), rng.choice([0.0, math.pi / 2, math.pi, -math.pi / 2]) + rng.normal(0, 0.3))
    return site.finished()


def _yard(site: Site) -> Building:
    """Build a courtyard between houses, with odds and ends."""
    rng, style, axis = site.rng, site.style, site.axis
    land(site, -0.06)
    half, long = rng.uniform(5, 14), rng.uniform(10, 26)
    kind = str(rng.choice(['paving', 'cobbles', 'gravel', 'asphalt', 'grass'], p=[0.35, 0.2, 0.15, 0.15, 0.15]))
    label = kind if kind in ('gravel', 'grass') else 'pavement'
    site.cover(label, ground_surface(style, kind), axis.strip(-long - 12, long + 12, -half - 12, half + 12))
    for side, reach, span in ((-1, half, long), (1, half, long)):
        _row(site, reach, span, side)
    for s, turn in ((long, math.pi), (-long, 0.0)):
        if rng.random() < 0.6:
            house = facades.random_house(style, 2 * half, int(rng.integers(1, 5)), False, True)
            site.add(facades.build(style, house), axis.frame(s, 0.0, 0.0, turn))
    things = (
        (fixtures.litter_bin, ('trash can', 'dumpster'), 1.2),
        (fixtures.litter_bin, ('recycling bin', 'pallet', 'concrete block'), 0.6),
        (fixtures.park_bench, ('bench',), 0.8),
        (fixtures.bollard, ('traffic cone', 'traffic barrel', 'barrel'), 0.5),
        (lambda _: list(traffic.any_car(site).items), (), 2.3),
    )
    for _ in range(rng.integers(2, 12)):
        build, models, size = things[rng.integers(len(things))]
        place = rng.uniform(-long, long) * 0.85, rng.uniform(-1, 1) * (half - 1.5)
        site.try_add(build, *place, 0.0, rng.uniform(0, 6.3), size, models)
    for _ in range(rng.integers(0, 5)):
        site.plant_tree(rng.uniform(-long, long) * 0.8, rng.uniform(-0.8, 0.8) * half, 0.0, (0.4, 0.9))
    _wanderers(site, half * 0.7)
    for _ in range(10):
        site.stand(rng.uniform(-long, long) * 0.85, rng.uniform(-0.8, 0.8) * half, 0.0, (0.3, 1.8), rng.uniform(0, 6.3))
    return site.finished()


def _row(site: Site, reach: float, span: float, side: int) -> None:
    rng, s = site.rng, -span - 4
    while s < span:
        width = rng.uniform(6, 16)
        if rng.random() < 0.85:
            house = facades.random_house(site.style, width, int(rng.integers(1, 5)), False, True)
            site.add(facades.build(site.style, house), site.axis.facing(s + width / 2, side * reach, side))
        s += width
