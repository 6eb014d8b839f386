# SPDX-License-Identifier: Apache-2.0
"""Generate outdoor scenes: streets, parks, car parks and yards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lseg_lab.rooms.building import Building
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.streets import lots, road, traffic
from lseg_lab.rooms.streets.axis import Axis
from lseg_lab.rooms.streets.grounds import random_grounds
from lseg_lab.rooms.streets.road import Street
from lseg_lab.rooms.streets.site import Site, land
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures

_GROUNDS_SHARE = 0.17  # share of parks, car parks and yards
_SPOTS = 14


def random_outdoors(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a street, or a park, car park or yard."""
    style = Style(rng, textures)
    stock = Stock(style, models)
    if rng.random() < _GROUNDS_SHARE:
        return random_grounds(stock)
    return _street(stock)


def _street(stock: Stock) -> Building:
    rng = stock.style.rng
    bend = 0.0 if rng.random() < 0.6 else rng.choice([-1, 1]) / rng.uniform(110, 400)
    site = Site(stock, Axis(float(bend)))
    street = road.random_street(rng)
    land(site, -0.06)
    road.lay(site, street)
    for side, character in zip(street.sides, lots.random_characters(rng)):
        lots.fill(site, street, side, character)
        traffic.park_cars(site, street, side)
        traffic.furnish(site, street, side)
    lots.close_ends(site)
    traffic.drive_cars(site, street)
    for side in street.sides:
        traffic.people(site, street, side)
    for _ in range(8):
        if len(site.spots) < _SPOTS:
            _stand(site, street)
    return site.finished()


def _stand(site: Site, street: Street) -> None:
    """Add the cameras of a driver, a robot and a pedestrian, looking along or across the street."""
    rng = site.rng
    side = street.sides[rng.integers(2)]
    along = rng.choice([0.0, math.pi], p=[0.6, 0.4])
    lane = 2 * street.half / street.lanes
    t = -street.half + (rng.integers(street.lanes) + 0.5) * lane
    site.stand(rng.uniform(-15, 25), t, 0.0, (1.1, 1.8), along + rng.normal(0, 0.08))
    site.stand(rng.uniform(-15, 25), t, 0.0, (0.3, 1.2), along + rng.normal(0, 0.3))
    walk = side.sign * street.walk(side) + rng.uniform(-0.3, 0.3) * side.pavement
    site.stand(rng.uniform(-15, 25), walk, street.kerb, (0.3, 1.2), along + rng.normal(0, 0.3))
    site.stand(rng.uniform(-15, 25), walk, street.kerb, (1.4, 1.8), along + rng.normal(0, 0.35))
    if rng.random() < 0.5:
        across = -side.sign * math.pi / 2
        site.stand(rng.uniform(-15, 25), walk, street.kerb, (0.5, 1.8), across + rng.normal(0, 0.5))
