# SPDX-License-Identifier: Apache-2.0
"""A room's materials: a few woods, paints and cloths that its furniture shares."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.patterns import random_colour, wood_colour
from lseg_lab.rooms.scene import Surface
from lseg_lab.rooms.textures import Textures

_GLOSSES = (0.0, 0.0, 0.03, 0.08, 0.2)


class Style:
    """Draws surfaces from `rng`, often reusing the room's own woods and paints."""

    def __init__(self, rng: np.random.Generator, textures: Textures) -> None:
        """Choose the room's woods and paints."""
        self.rng, self.textures = rng, textures
        self._woods = [self._any_wood() for _ in range(2)]
        self._paints = [self._any_paint() for _ in range(2)]

    def drawing_from(self, rng: np.random.Generator) -> Style:
        """Return a style with the same woods and paints that draws from another generator."""
        twin = copy.copy(self)
        twin.rng = rng
        return twin

    def _gloss(self) -> float:
        return float(self.rng.choice(_GLOSSES))

    def _any_wood(self) -> Surface:
        layer = self.textures.pick(self.rng, 'wood')
        tint = self.rng.uniform(0.25, 1.2) * (1 + self.rng.normal(0, 0.05, 3))
        return Surface(layer, self.rng.uniform(0.5, 1.2), _rgb(tint), self._gloss())

    def _any_paint(self) -> Surface:
        draw = self.rng.random()
        if draw < 0.55:
            tint = self.rng.uniform(0.7, 0.97) * (1 + self.rng.normal(0, 0.02, 3))
        elif draw < 0.7:
            tint = self.rng.uniform(0.05, 0.2) * (1 + self.rng.normal(0, 0.05, 3))
        else:
            tint = random_colour(self.rng, 0.08, 0.95)
        return Surface(tint=_rgb(tint), gloss=self._gloss())

    def wood(self) -> Surface:
        """Return one of the room's woods, or sometimes another wood or plain stain."""
        draw = self.rng.random()
        if draw < 0.65:
            return self._woods[self.rng.integers(len(self._woods))]
        if draw < 0.85:
            return self._any_wood()
        return Surface(tint=_rgb(wood_colour(self.rng)), gloss=self._gloss())

    def table_top(self) -> Surface:
        """Return mostly wood or boards, else paint, stone or dark glass."""
        draw = self.rng.random()
        if draw < 0.58:
            return self.wood()
        if draw < 0.68:
            return replace(self._any_wood(), layer=self.textures.pick(self.rng, 'planks'))
        if draw < 0.86:
            return self.paint()
        if draw < 0.96:
            return self.stone()
        return Surface(tint=_rgb(self.rng.uniform(0.05, 0.35, 3)), gloss=0.4)

    def paint(self) -> Surface:
        """Return a plain colour, often white."""
        if self.rng.random() < 0.5:
            return self._paints[self.rng.integers(len(self._paints))]
        return self._any_paint()

    def board(self) -> Surface:
        """Return the material of case furniture: wood or paint."""
        return self.wood() if self.rng.random() < 0.65 else self.paint()

    def cloth(self) -> Surface:
        """Return patterned or plain fabric."""
        if self.rng.random() < 0.3:
            return Surface(tint=_rgb(random_colour(self.rng, 0.1, 0.98)))
        layer = self.textures.pick(self.rng, 'fabric')
        tint = self.rng.uniform(0.75, 1.15) * (1 + self.rng.normal(0, 0.05, 3))
        return Surface(layer, self.rng.uniform(0.5, 3.0), _rgb(tint))

    def upholstery(self) -> Surface:
        """Return a seat cover: plain cloth, a fine weave or leather."""
        draw = self.rng.random()
        if draw < 0.25:
            leather = wood_colour(self.rng) * self.rng.uniform(0.15, 0.8)
            return Surface(tint=_rgb(leather), gloss=self.rng.uniform(0.05, 0.2))
        if draw < 0.7:
            layer = self.textures.pick(self.rng, 'carpet')
            return Surface(layer, 2.0, _rgb(random_colour(self.rng, 0.3, 1.4)))
        return self.cloth()

    def stone(self) -> Surface:
        """Return the material of worktops."""
        layer = self.textures.pick(self.rng, 'stone')
        tint = self.rng.uniform(0.4, 1.2) * (1 + self.rng.normal(0, 0.05, 3))
        return Surface(layer, self.rng.uniform(0.6, 1.5), _rgb(tint), self.rng.uniform(0, 0.35))

    def metal(self) -> Surface:
        """Return steel, brass or black iron."""
        tint = self.rng.uniform(0.05, 1.0) * (1 + self.rng.normal(0, 0.04, 3))
        return Surface(self.textures.pick(self.rng, 'metal'), 1.0, _rgb(tint), 0.15)

    def plastic(self) -> Surface:
        """Return a plain colour, often black, grey or white."""
        if self.rng.random() < 0.6:
            return Surface(tint=_rgb(np.full(3, self.rng.choice([0.07, 0.15, 0.5, 0.8, 0.93]))))
        return Surface(tint=_rgb(random_colour(self.rng, 0.1, 1.0)), gloss=0.05)


def _rgb(colour: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in np.clip(colour, 0.01, 1.6))
    return red, green, blue
