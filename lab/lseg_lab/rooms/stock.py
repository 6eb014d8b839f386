# SPDX-License-Identifier: Apache-2.0
"""Supply pieces by class name: recoloured models of the catalogues, or built ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from lseg_lab.rooms import appliances, joinery, sanitary, small_things, upholstery
from lseg_lab.rooms.catalogue import Model
from lseg_lab.rooms.meshes import triple
from lseg_lab.rooms.patterns import random_colour
from lseg_lab.rooms.piece import Piece, whole_top
from lseg_lab.rooms.scene import Item, Surface
from lseg_lab.rooms.style import Style

_BUILDERS: dict[str, Callable[[Style], Piece]] = {
    'table': joinery.table,
    'desk': lambda style: joinery.table(style, 'desk'),
    'coffee table': lambda style: joinery.table(style, 'coffee table'),
    'game table': joinery.pool_table,
    'bookshelf': joinery.shelf,
    **{
        label: partial(joinery.case, label=label)
        for label in ('cabinet', 'dresser', 'wardrobe', 'nightstand', 'tv stand')
    },
    'bed': upholstery.bed,
    'sofa': upholstery.sofa,
    'armchair': lambda style: upholstery.sofa(style, 1),
    'chair': upholstery.chair,
    'stool': upholstery.ottoman,
    'lamp': small_things.floor_lamp,
    'refrigerator': appliances.refrigerator,
    'television': appliances.television,
    'trash can': small_things.trash_can,
    'toilet': sanitary.toilet,
    'sink': sanitary.washbasin,
}
_BUILT_SHARE = 0.5  # of the pieces whose class has both a builder and models
_HAVE_TOPS = frozenset(
    {
        'table',
        'desk',
        'coffee table',
        'nightstand',
        'dresser',
        'cabinet',
        'tv stand',
        'bench',
        'game table',
        'piano',
        'radiator',
        'microwave',
        'safe',
        'fireplace',
        'washing machine',
    }
)
_KEEP_COLOURS = frozenset(
    {
        'person',
        'dog',
        'cat',
        'television',
        'computer',
        'laptop',
        'teddy bear',
        'picture',
        'aquarium',
        'window',
        'keyboard',
        'phone',
        'camera',
    }
)
_LIVING = frozenset({'plant', 'flowers'})


class Stock:
    """Supplies pieces for one room; every draw comes from the style's generator."""

    def __init__(self, style: Style, models: Sequence[Model]) -> None:
        """Offer `models` and the built pieces in `style`."""
        self._style, self._rng = style, style.rng
        self._models: dict[str, list[Model]] = defaultdict(list)
        for model in models:
            self._models[model.label].append(model)

    @property
    def labels(self) -> list[str]:
        """Return all available classes, sorted."""
        return sorted({*self._models, *_BUILDERS})

    def piece(self, label: str) -> Piece | None:
        """Return a piece of this class, or None if there is none."""
        models, build = self._models.get(label), _BUILDERS.get(label)
        if build and (not models or self._rng.random() < _BUILT_SHARE):
            return build(self._style)
        if not models:
            return None
        return self._restyled(models[self._rng.integers(len(models))])

    def small(self, label: str) -> list[Item]:
        """Return the items of a model to stand on a top; empty if there is none."""
        models = self._models.get(label)
        if not models:
            return []
        return list(self._restyled(models[self._rng.integers(len(models))]).items)

    def _restyled(self, model: Model) -> Piece:
        rng = self._rng
        stretch = rng.uniform(0.92, 1.1) * rng.uniform(0.95, 1.05, 3)
        if model.label in _KEEP_COLOURS | _LIVING:
            stretch[:] = stretch[0]
        size = triple(model.size * stretch)
        matrix = np.diag([*stretch, 1.0])
        item = Item(model.mesh, model.label, self._surface(model.label), matrix, shared=True)
        height = model.top * stretch[1]
        tops = (
            whole_top(size[0] * 0.9, size[2] * 0.85, height)
            if (model.label in _HAVE_TOPS and 0.1 < height < 1.4)
            else ()
        )
        piece = Piece(model.label, size, (item,), tops, model.elevation)
        if model.label == 'bed' and model.top > 0.2 and size[2] > 1.6:
            return self._made_bed(piece, height)
        return piece

    def _made_bed(self, piece: Piece, top: float) -> Piece:
        width, _, length = piece.size
        bedding = upholstery.bed_pillows(self._style, width * 0.9, length, top)
        if self._rng.random() < 0.7:
            bedding.append(upholstery.duvet(self._style, width * 0.95, length * 0.97, top))
        return piece.with_items(bedding)

    def _surface(self, label: str) -> Surface:
        """Keep the colours of half the models; tint the others or give them another material."""
        rng, style = self._rng, self._style
        gloss = float(rng.choice([0.0, 0.0, 0.05, 0.15]))
        draw = rng.random()
        if label in _KEEP_COLOURS or draw < 0.35:
            return Surface(gloss=gloss)
        tint = np.clip(rng.uniform(0.35, 1.3) * (1 + rng.normal(0, 0.12, 3)), 0.1, 1.8)
        if label in _LIVING or draw < 0.65:
            return Surface(tint=tuple(tint), gloss=gloss)
        if label in ('sofa', 'armchair', 'bed', 'towel', 'curtain'):
            return style.upholstery()
        if label in (
            'refrigerator',
            'stove',
            'sink',
            'toilet',
            'bathtub',
            'washing machine',
            'radiator',
            'dishwasher',
            'range hood',
            'urinal',
        ):
            shade = np.full(3, rng.choice([0.9, 0.95, 0.6, 0.12]))
            return Surface(
                tint=tuple(np.clip(shade * (1 + rng.normal(0, 0.03, 3)), 0, 1)),
                layer=style.textures.pick(rng, 'metal') if draw > 0.9 else -1.0,
                gloss=gloss,
            )
        if draw < 0.85:
            return style.wood()
        return Surface(tint=tuple(random_colour(rng)), gloss=gloss)
