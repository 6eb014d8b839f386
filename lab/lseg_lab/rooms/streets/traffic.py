# SPDX-License-Identifier: Apache-2.0
"""Put vehicles, people and street furniture along a street."""

from __future__ import annotations

import math

import numpy as np

from lseg_lab.rooms.piece import Piece
from lseg_lab.rooms.scene import Item
from lseg_lab.rooms.streets import fixtures, passersby, vehicles
from lseg_lab.rooms.streets.road import END, START, Side, Street
from lseg_lab.rooms.streets.site import Site

_BUILT_PEOPLE = 0.5  # share of built people if the stock has models
_MODELLED_CARS = 0.45  # share of cars taken from the models, if the stock has any
_MODELLED_OTHERS = 0.5
_THIN_POLES, _RAILED = 0.6, 0.25  # shares of pavements
_CARS, _CAR_SHARES = ('car', 'pickup truck'), (0.85, 0.15)
_OTHERS = ('bus', 'ambulance', 'fire truck', 'utility vehicle', 'pickup truck')
_AT_KERBS = (
    'traffic cone', 'traffic barrel', 'concrete barrier', 'barrier', 'dumpster', 'parking block', 'wheel', 'pallet',
    'box', 'concrete block',
)  # fmt: skip
_ON_PAVEMENTS = (
    'fire hydrant', 'mailbox', 'trash can', 'recycling bin', 'bench', 'bicycle', 'bicycle', 'stroller', 'fountain',
    'dog', 'wheelchair', 'dumpster', 'box', 'suitcase', 'sign', 'robot',
)  # fmt: skip


def any_car(site: Site) -> Piece:
    """Return a car, built or from the stock."""
    if site.rng.random() < _MODELLED_CARS:
        piece = site.stock.piece(str(site.rng.choice(_CARS, p=_CAR_SHARES)))
        if piece is not None:
            return piece
    return vehicles.car(site.style)


def any_vehicle(site: Site) -> Piece:
    """Return a car, bus, truck or another vehicle, built or from the stock."""
    rng = site.rng
    draw = rng.random()
    if draw < 0.8:
        return any_car(site)
    piece = site.stock.piece(str(rng.choice(_OTHERS))) if rng.random() < _MODELLED_OTHERS else None
    if piece is not None:
        return piece
    return vehicles.bus(site.style) if draw < 0.87 else vehicles.truck(site.style)


def park_cars(site: Site, street: Street, side: Side) -> None:
    """Fill a parking lane, or park a few cars at the kerb or half on the pavement."""
    rng = site.rng
    share = rng.uniform(0.2, 0.95) if side.parking else rng.choice([0.0, 0.12])
    t = side.sign * (street.kerb_at(side) - 1.05)
    s = START + 20
    while s < END - 20:
        if rng.random() < share:
            piece = any_car(site)
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
            vehicle = any_vehicle(site)
            site.add(vehicle.items, site.axis.frame(s, t + rng.normal(0, 0.15), 0.0, along))
            site.take(s, t, vehicle.size[2] / 2, vehicle.size[0] / 2)


def somebody(site: Site) -> list[Item]:
    """Return a person, built or from the stock."""
    if site.rng.random() > _BUILT_PEOPLE:
        piece = site.stock.piece('person')
        if piece is not None and piece.size[1] > 2.0 * max(piece.size[0], piece.size[2]):  # upright
            return list(piece.items)
    return passersby.person(site.style)


def people(site: Site, street: Street, side: Side) -> None:
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
                site.add(somebody(site), site.axis.frame(*where, y, along + rng.normal(0, 0.3)))
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
    _posts(site, street, side, edge)
    if rng.random() < _RAILED:
        _guard_rail(site, street, side)
    if rng.random() < 0.2:
        for s in np.arange(rng.uniform(-20, 0), rng.uniform(5, 40), rng.uniform(1.2, 2.5)):
            site.try_add(fixtures.bollard, s, sign * (street.kerb_at(side) + 0.4), up, 0.0, 0.2)
    _small_things(site, street, side, edge, inward)


def _posts(site: Site, street: Street, side: Side, edge: float) -> None:
    """Put lamps, poles, signs and traffic lights along the kerb."""
    rng, sign, up = site.rng, side.sign, street.kerb
    for s in np.arange(START + rng.uniform(0, 20), END, rng.uniform(18, 40)):
        site.try_add(fixtures.street_lamp, s, edge, up, -sign * math.pi / 2, models=('street lamp',))
    if rng.random() < 0.4:
        for s in np.arange(START + rng.uniform(0, 20), END, rng.uniform(25, 45)):
            site.try_add(fixtures.mast, s, edge, up, 0.0, models=('utility pole',))
    if rng.random() < _THIN_POLES:
        for s in np.arange(START + rng.uniform(0, 9), END, rng.uniform(7, 20)):
            site.try_add(fixtures.thin_pole, s + rng.normal(0, 1.0), edge, up, 0.0, 0.2)
    for _ in range(rng.integers(3, 16)):
        turn = (math.pi if sign < 0 else 0.0) + rng.normal(0, 0.2) + (math.pi if rng.random() < 0.25 else 0.0)
        site.try_add(fixtures.road_sign, rng.uniform(-25, 45), edge, up, turn, models=('stop sign', 'traffic sign'))
    if rng.random() < 0.3:
        site.try_add(fixtures.traffic_light, rng.uniform(5, 35), edge, up, math.pi)


def _guard_rail(site: Site, street: Street, side: Side) -> None:
    """Fence the pavement off from the road, with gaps."""
    rng = site.rng
    kind = str(rng.choice(['bars', 'rails', 'mesh', 'pickets'], p=[0.4, 0.3, 0.2, 0.1]))
    surface, height = fixtures.fence_surface(site.style, kind), rng.uniform(0.8, 1.3)
    t = side.sign * (street.kerb_at(side) + 0.3)
    for s in np.arange(rng.uniform(-35, 10), rng.uniform(15, 60), 2.0):
        if rng.random() < 0.93 and site.is_free(s, t, 0.0):
            site.add(
                fixtures.fence(site.style, kind, 2.0, height, surface), site.axis.facing(s, t, side.sign, street.kerb)
            )


def _small_things(site: Site, street: Street, side: Side, edge: float, inward: float) -> None:
    rng, up = site.rng, street.kerb
    back = side.sign * (street.front(side) - 0.45)
    kerbside = side.sign * (street.kerb_at(side) - 0.5)
    choices = (
        (fixtures.litter_bin, edge, inward, 0.4, ('trash can',)),
        (fixtures.litter_bin, back, inward, 0.4, ('recycling bin',)),
        (fixtures.park_bench, back, inward, 0.9, ('bench',)),
        (fixtures.guide_board, back, inward, 0.8, ()),
        (fixtures.letter_box, edge, inward, 0.4, ('mailbox',)),
        (fixtures.hydrant, edge, inward, 0.3, ('fire hydrant',)),
        (fixtures.shelter, back, inward, 1.6, ()),
        (fixtures.traffic_cone, kerbside, 0.0, 0.4, ('traffic cone', 'traffic barrel')),
        (passersby.bicycle, back, inward + math.pi / 2, 0.6, ('bicycle',)),
        (passersby.bicycle, edge, inward + math.pi / 2, 0.6, ('bicycle',)),
        (passersby.motorcycle, edge, inward + math.pi / 2, 0.7, ()),
    )
    for _ in range(rng.integers(3, 16)):
        build, t, turn, size, models = choices[rng.integers(len(choices))]
        site.try_add(build, rng.uniform(-20, 45), t, up, turn + rng.normal(0, 0.1), size, models)
    for _ in range(rng.integers(0, 7)):
        if rng.random() < 0.5:
            site.try_model(_AT_KERBS, rng.uniform(-20, 45), kerbside, 0.0, rng.normal(0, 0.2) + math.pi / 2)
        else:
            site.try_model(_ON_PAVEMENTS, rng.uniform(-20, 45), (back, edge)[rng.integers(2)], up)
