# SPDX-License-Identifier: Apache-2.0
"""Choose what kind of place to build, such as a room, a staircase or a street."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.building import Building, Spot, furnished_room, random_building
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.close_views import spots_above, spots_at_doors
from lseg_lab.rooms.plan import random_room
from lseg_lab.rooms.showrooms import random_showroom
from lseg_lab.rooms.stairwell import random_stairwell
from lseg_lab.rooms.streets.outdoors import random_outdoors
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures
from lseg_lab.rooms.workplaces import random_workplace

Builder = Callable[[np.random.Generator, Textures, Sequence[Model]], Building]
_TRIES = 6
_TOP_USES = ('kitchen', 'office', 'living', 'bedroom')
_TOP_SHARES = (0.32, 0.34, 0.26, 0.08)


def _from_above(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a room with tables, desks or counters and cameras that look down on them."""

    def draw() -> Building:
        use = str(rng.choice(_TOP_USES, p=_TOP_SHARES))
        room = random_room(rng, corridor=False)
        return furnished_room(Style(rng, textures), models, room, use, int(rng.integers(0, 4)))

    return _with_spots(draw, spots_above)


def _doors(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a corridor or room with many doors and cameras close to them."""

    def draw() -> Building:
        corridor = bool(rng.random() < 0.5)
        use = 'hall' if corridor else str(rng.choice(['hall', 'office', 'living', 'bedroom']))
        room = random_room(rng, corridor)
        return furnished_room(Style(rng, textures), models, room, use, int(rng.integers(4, 14)))

    return _with_spots(draw, spots_at_doors)


def _with_spots(draw: Callable[[], Building], find: Callable[[Building], tuple[Spot, ...]]) -> Building:
    """Draw buildings until one offers spots; the last one is good for ordinary views."""
    for _ in range(_TRIES):
        building = draw()
        spots = find(building)
        if spots:
            break
    return replace(building, spots=spots)


_INDOORS: dict[str, Builder] = {
    'rooms': random_building,
    'stairs': random_stairwell,
    'above': _from_above,
    'doors': _doors,
}
_SHARES = (0.7, 0.13, 0.1, 0.07)  # of the kinds in a mixed set
_BUILDERS: dict[str, Builder] = {
    **_INDOORS,
    'streets': random_outdoors,
    'places': random_workplace,
    'things': random_showroom,
}
KINDS = (*_BUILDERS, 'mixed')


def random_place(kind: str, rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a place of this kind, or of any kind indoors if it is 'mixed'."""
    if kind == 'mixed':
        kind = str(rng.choice(list(_INDOORS), p=_SHARES))
    return _BUILDERS[kind](rng, textures, models)
