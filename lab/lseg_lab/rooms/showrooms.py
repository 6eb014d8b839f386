# SPDX-License-Identifier: Apache-2.0
"""Generate places with things of a few classes, all equally likely, and cameras close to them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.building import Building
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.close_views import spots_around
from lseg_lab.rooms.plan import random_room
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.streets.grounds import displayed_outdoors
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures
from lseg_lab.rooms.workplaces import filled_room, random_hall

_OUTDOORS = ('street', 'park')  # settings
_OUTDOORS_SHARE = 0.3  # of the places, if models are found there
_HALL_SHARE = 0.4  # of the rooms
_LARGE, _SMALL = 5, 7  # classes in one place


def random_showroom(rng: np.random.Generator, textures: Textures, models: Sequence[Model]) -> Building:
    """Generate a place that shows things of some classes, rare ones as often as common ones."""
    stock = Stock(Style(rng, textures), models)
    outdoors = sorted(itertools.chain(*stock.labels_of(*_OUTDOORS)))
    if outdoors and rng.random() < _OUTDOORS_SHARE:
        shown = _drawn(rng, outdoors, _LARGE)
        building = displayed_outdoors(stock, shown)
    else:
        large, small = ([label for label in labels if label not in outdoors] for labels in stock.labels_of())
        large = _drawn(rng, sorted({*large, *stock.built} - {*outdoors}), _LARGE)
        small = _drawn(rng, small, _SMALL)
        room = random_hall(rng) if rng.random() < _HALL_SHARE else random_room(rng, corridor=False)
        building = filled_room(stock, models, room, str(rng.choice(['office', 'kitchen'])), large, small)
        shown = [*large, *small]
    return replace(building, spots=spots_around(rng, building, shown))


def _drawn(rng: np.random.Generator, labels: Sequence[str], count: int) -> list[str]:
    return [labels[index] for index in rng.permutation(len(labels))[:count]]
