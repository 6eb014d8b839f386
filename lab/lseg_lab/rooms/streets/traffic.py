# SPDX-License-Identifier: Apache-2.0
"""Put vehicles, people and street furniture along a street."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.scene import Item
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.streets import fixtures, passersby, vehicles
from lseg_lab.rooms.streets.road import END, START, Side, Street
from lseg_lab.rooms.streets.site import Site
from lseg_lab.rooms.style import Style

_BUILT_PEOPLE = 0.5  # share of built people if the stock has models


def any_vehicle(style: Style) -> tuple[list[Item], float, float]:
    """Build a vehicle; return its items, length and width."""
    build = style.rng.choice(np.array([vehicles.car, vehicles.bus, vehicles.truck], object), p=[0.86, 0.05, 0.09])
    piece = build(style)
    return list(piece.items), piece.size[2], piece.size[0]


def park_cars(site: Site, street: Street, side: Side) -> None:
    """Fill a parking lane, or park a few cars at the kerb or half on the pavement."""
    rng = site.rng
    share = rng.uniform(0.2, 0.95) if side.parking else rng.choice([0.0, 0.12])
    t = side.sign * (street.kerb_at(side) - 1.05)
    s = START + 20
    while s < END - 20:
        if rng.random() < share:
            piece = vehicles.car(site.style)
            along = 0.0 if (side.sign < 0) != (rng.random() < 0.15) else math.pi
            site.add(piece.items, site.axis.frame(s, t + rng.normal(0, 0.07), 0.0, along + rng.normal(0, 0.02)))
            site.take(s, t, piece.size[2] / 2, 1.0)
        s += rng.uniform(5.2, 6.6)


def drive_cars(site: Site, street: Street) -> None:
    """Put moving vehicles and riders on the lanes."""
    rng = site.rng
    lane = 2 * street.half / street.lanes
    for _ in range(rng.choice([0, 1, 2, 3, 5, 8], p=[0.12, 0.18, 0.22, 0.22, 0.16, 0.1])):
        index = int(rng.integers(street.lanes))
        t = -street.half + (index + 0.5) * lane
        s = rng.uniform(-60, 85)
        along = math.pi if t > 0 else 0.0
        if not site.is_free(s, t, 3.5):
            continue
        if rng.random() < 0.2:
            built = passersby.rider(site.style)
            offset = rng.uniform(-0.35, 0.35) * lane
            site.add(built, site.axis.frame(s, t + offset, 0.0, along))
            site.take(s, t + offset, 1.0, 0.5)
        else:
            built, length, width = any_vehicle(site.style)
            site.add(built, site.axis.frame(s, t + rng.normal(0, 0.15), 0.0, along))
            site.take(s, t, length / 2, width / 2)


def somebody(site: Site, stock: Stock) -> list[Item]:
    """Return a person, built or from the stock."""
    if 'person' in stock.labels and site.rng.random() > _BUILT_PEOPLE:
        piece = stock.piece('person')
        if piece is not None and piece.size[1] > 1.6 * max(piece.size[0], piece.size[2]):  # upright
            return list(piece.items)
    return passersby.person(site.style)


def people(site: Site, street: Street, side: Side, stock: Stock) -> None:
    """Put people on the pavement, some in groups, and let some cross the road."""
    rng = site.rng
    for _ in range(rng.choice([0, 3, 7, 14, 24], p=[0.1, 0.22, 0.3, 0.24, 0.14])):
        s = rng.normal(6, 22)
        crossing = rng.random() < 0.08
        t = (
            rng.uniform(-street.half, street.half)
            if crossing
            else side.sign * street.walk(side) + rng.uniform(-0.4, 0.4) * side.pavement
        )
        along = rng.choice([0.0, math.pi]) if not crossing else rng.choice([-1, 1]) * math.pi / 2
        y = 0.0 if crossing else street.kerb
        for number in range(rng.choice([1, 1, 2, 3])):
            where = s + 0.55 * number, t + rng.normal(0, 0.35)
            if site.is_free(*where, 0.3):
                site.add(somebody(site, stock), site.axis.frame(*where, y, along + rng.normal(0, 0.3)))
                site.take(*where, 0.25, 0.25)


def furnish(site: Site, street: Street, side: Side) -> None:
    """Put trees, lamps, signs and small things on the pavement."""
    rng, sign, up = site.rng, side.sign, street.kerb
    edge = sign * (street.kerb_at(side) + 0.5 + (side.verge / 2 if side.verge else 0.0))
    inward = -sign * math.pi / 2
    if side.verge or (side.pavement > 2.4 and rng.random() < 0.45):
        for s in np.arange(START + rng.uniform(0, 10), END, rng.uniform(7, 18)):
            if rng.random() < 0.85:
                site.plant_tree(s + rng.normal(0, 0.6), edge, up)
    for s in np.arange(START + rng.uniform(0, 20), END, rng.uniform(18, 40)):
        site.try_add(fixtures.street_lamp, s, edge, up, inward)
    if rng.random() < 0.4:
        for s in np.arange(START + rng.uniform(0, 20), END, rng.uniform(25, 45)):
            site.try_add(fixtures.mast, s, edge, up, 0.0)
    for _ in range(rng.integers(2, 12)):
        turn = (math.pi if sign < 0 else 0.0) + rng.normal(0, 0.2) + (math.pi if rng.random() < 0.25 else 0.0)
        site.try_add(fixtures.road_sign, rng.uniform(-25, 45), edge, up, turn)
    if rng.random() < 0.25:
        site.try_add(fixtures.traffic_light, rng.uniform(5, 35), edge, up, math.pi)
    if rng.random() < 0.2:
        for s in np.arange(rng.uniform(-20, 0), rng.uniform(5, 40), rng.uniform(1.2, 2.5)):
            site.try_add(fixtures.bollard, s, sign * (street.kerb_at(side) + 0.4), up, 0.0, 0.2)
    _small_things(site, street, side, edge, inward)


def _small_things(site: Site, street: Street, side: Side, edge: float, inward: float) -> None:
    rng, up = site.rng, street.kerb
    back = side.sign * (street.front(side) - 0.45)
    choices = (
        (fixtures.litter_bin, edge, inward, 0.4),
        (fixtures.litter_bin, back, inward, 0.4),
        (fixtures.park_bench, back, inward, 0.9),
        (fixtures.guide_board, back, inward, 0.8),
        (fixtures.letter_box, edge, inward, 0.4),
        (fixtures.hydrant, edge, inward, 0.3),
        (fixtures.shelter, back, inward, 1.6),
        (fixtures.traffic_cone, side.sign * (street.kerb_at(side) - 0.5), 0.0, 0.4),
        (passersby.bicycle, back, inward + math.pi / 2, 0.6),
        (passersby.bicycle, edge, inward + math.pi / 2, 0.6),
        (passersby.motorcycle, edge, inward + math.pi / 2, 0.7),
    )
    for _ in range(rng.integers(3, 16)):
        build, t, turn, size = choices[rng.integers(len(choices))]
        site.try_add(build, rng.uniform(-20, 45), t, up, turn + rng.normal(0, 0.1), size)
