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
        'side table',
        'bar table',
        'conference table',
        'workbench',
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
_PAINTED = frozenset({'car', 'pickup truck', 'dumpster', 'mailbox', 'fire hydrant', 'building', 'barrier'})
_MODEL_SHARE = 0.45  # of the things outdoors that can be built or taken from the models
_SMALL = 0.45  # metres: what is smaller stands on something


class Stock:
    """Supplies pieces for one room; every draw comes from the style's generator."""

    def __init__(self, style: Style, models: Sequence[Model]) -> None:
        """Offer `models` and the built pieces in `style`."""
        self.style, self._rng = style, style.rng
        self._models: dict[str, list[Model]] = defaultdict(list)
        for model in models:
            self._models[model.label].append(model)

    @property
    def built(self) -> list[str]:
        """Return the classes whose pieces can be built without models, sorted."""
        return sorted(_BUILDERS)

    @property
    def labels(self) -> list[str]:
        """Return all available classes, sorted."""
        return sorted({*self._models, *_BUILDERS})

    def labels_of(self, *settings: str) -> tuple[list[str], list[str]]:
        """Return the large and the small classes with models, in these settings or in any."""
        found: dict[bool, set[str]] = {False: set(), True: set()}
        for label, models in self._models.items():
            sizes = [model.size.max() for model in models if not settings or set(settings) & set(model.settings)]
            if sizes:
                found[max(sizes) < _SMALL].add(label)
        return sorted(found[False]), sorted(found[True])

    def or_model(self, build: Callable[[Style], list[Item]], *labels: str) -> Callable[[Style], list[Item]]:
        """Return a builder that often takes a model of one of `labels` instead, if it can."""
        modelled = [label for label in labels if label in self._models]

        def chosen(style: Style) -> list[Item]:
            if not modelled or self._rng.random() > _MODEL_SHARE:
                return build(style)
            return self.small(modelled[self._rng.integers(len(modelled))])

        return chosen

    def piece(self, label: str) -> Piece | None:
        """Return a piece of this class, or None if there is none."""
        models, build = self._models.get(label), _BUILDERS.get(label)
        if build and (not models or self._rng.random() < _BUILT_SHARE):
            return build(self.style)
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
        surface = self._textured_surface(model.label) if model.settings else self._surface(model.label)
        meshes = ((model.label, model.mesh), *model.others)
        items = tuple(Item(mesh, label, surface, matrix, shared=True) for label, mesh in meshes)
        height = model.top * stretch[1]
        tops = (
            whole_top(size[0] * 0.9, size[2] * 0.85, height)
            if (model.label in _HAVE_TOPS and 0.1 < height < 1.4)
            else ()
        )
        piece = Piece(model.label, size, items, tops, model.elevation)
        if model.label == 'bed' and not model.others and model.top > 0.2 and size[2] > 1.6:
            return self._made_bed(piece, height)
        return piece

    def _made_bed(self, piece: Piece, top: float) -> Piece:
        width, _, length = piece.size
        bedding = upholstery.bed_pillows(self.style, width * 0.9, length, top)
        if self._rng.random() < 0.7:
            bedding.append(upholstery.duvet(self.style, width * 0.95, length * 0.97, top))
        return piece.with_items(bedding)

    def _textured_surface(self, label: str) -> Surface:
        """Keep the colours of a model with pictures of its materials, or tint them."""
        rng = self._rng
        gloss = float(rng.choice([0.0, 0.0, 0.03]))
        if label in _KEEP_COLOURS or rng.random() < 0.4:
            return Surface(gloss=gloss)
        if label in _PAINTED and rng.random() < 0.5:
            return Surface(tint=triple(random_colour(rng, 0.3, 1.3)), gloss=gloss)
        tint = np.clip(rng.uniform(0.6, 1.25) * (1 + rng.normal(0, 0.06, 3)), 0.2, 1.6)
        return Surface(tint=triple(tint), gloss=gloss)

    def _surface(self, label: str) -> Surface:
        """Keep the colours of half the models; tint the others or give them another material."""
        rng, style = self._rng, self.style
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
