# SPDX-License-Identifier: Apache-2.0
"""Collect an outdoor scene: its items, occupied places, and places for cameras."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.building import Building, Spot
from lseg_lab.rooms.meshes import Mesh, quads
from lseg_lab.rooms.plan import make_room, rectangle
from lseg_lab.rooms.scene import Item, Scene, Surface
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.streets import vegetation, weather
from lseg_lab.rooms.streets.axis import Axis
from lseg_lab.rooms.style import Style

_SHADOW_RADIUS = 48.0  # metres around the origin in which things cast shadows
_FAR = 320.0  # metres: far clipping plane, beyond the sky
_GROUND = ('road', 'pavement', 'grass', 'gravel', 'crosswalk')
_LEAST_GROUND = 0.06  # least share of ground in a picture
_CLEARANCE = 0.7  # metres between a camera and other things
_TREES = 4  # different trees per scene
_LANDMARKED = 0.5  # share of scenes with something large far away, if there are models
_LANDMARKS = ('construction crane', 'cooling tower', 'radio tower', 'water tower', 'bridge')
_MODELLED_TREES = 0.3  # share of them, if the stock has models of trees


class Site:
    """An outdoor scene under construction; places are s and t along its axis."""

    def __init__(self, stock: Stock, axis: Axis) -> None:
        """Draw what the whole scene shares: its weather, trees and bushes."""
        self.stock, self.style, self.axis, self.rng = stock, stock.style, axis, stock.style.rng
        self.items: list[Item] = []
        self.spots: list[Spot] = []
        self._occupied: list[tuple[float, float, float, float]] = []
        self.weather = weather.random_weather(self.rng)
        bare = self.rng.random() < 0.15
        self._trees = [self._any_tree(bare) for _ in range(_TREES)]
        self._bushes = [vegetation.bush(self.style, *self.rng.uniform((0.8, 0.6), (2.2, 1.8))) for _ in range(2)]

    def _any_tree(self, bare: bool) -> list[Item]:
        model = None if bare or self.rng.random() > _MODELLED_TREES else self.stock.piece('tree')
        return list(model.items) if model else vegetation.tree(self.style, self.rng.uniform(5, 12), bare)

    def add(self, items: Sequence[Item], pose: np.ndarray) -> None:
        """Add items given in the coordinates of `pose`."""
        self.items += [replace(item, matrix=pose @ item.matrix) for item in items]

    def cover(self, label: str, surface: Surface, *meshes: Mesh) -> None:
        """Add ground in world coordinates."""
        self.items += [Item(mesh, label, surface, shadow=False) for mesh in meshes]

    def is_free(self, s: float, t: float, margin: float = _CLEARANCE) -> bool:
        """Return whether nothing stands within `margin` metres of a place."""
        return not any(
            s0 - margin < s < s1 + margin and t0 - margin < t < t1 + margin for s0, s1, t0, t1 in self._occupied
        )

    def take(self, s: float, t: float, half_s: float, half_t: float) -> None:
        """Mark a rectangle around a place as occupied."""
        self._occupied.append((s - half_s, s + half_s, t - half_t, t + half_t))

    def plant_tree(self, s: float, t: float, y: float, size: tuple[float, float] = (0.7, 1.3)) -> None:
        """Plant one of the scene's trees."""
        tree, scale = self._trees[self.rng.integers(_TREES)], self.rng.uniform(*size)
        pose = self.axis.frame(s, t, y, self.rng.uniform(0, 2 * math.pi)) @ np.diag([scale, scale, scale, 1.0])
        self.add(tree, pose)
        self.take(s, t, 0.3, 0.3)

    def plant_bush(self, s: float, t: float, y: float) -> None:
        """Plant one of the scene's bushes."""
        scale = self.rng.uniform(0.6, 1.3)
        pose = self.axis.frame(s, t, y, self.rng.uniform(0, 2 * math.pi)) @ np.diag([scale, scale, scale, 1.0])
        self.add(self._bushes[self.rng.integers(2)], pose)
        self.take(s, t, 0.8, 0.8)

    def try_add(
        self,
        build: Callable[[Style], list[Item]],
        s: float,
        t: float,
        y: float,
        turn: float,
        size: float = 0.4,
        models: Sequence[str] = (),
    ) -> None:
        """Build a thing of about this half-width, or take one of `models`, if the place is free."""
        if self.is_free(s, t, size):
            self.add(self.stock.or_model(build, *models)(self.style), self.axis.frame(s, t, y, turn))
            self.take(s, t, size, size)

    def try_model(self, labels: Sequence[str], s: float, t: float, y: float, turn: float | None = None) -> None:
        """Put a model of one of these classes at a place, if there is one and the place is free."""
        piece = self.stock.piece(str(self.rng.choice(labels)))
        if piece is None:
            return
        turn = self.rng.uniform(0, 2 * math.pi) if turn is None else turn
        half = max(piece.size[0], piece.size[2]) / 2
        if self.is_free(s, t, half):
            self.add(piece.items, self.axis.frame(s, t, y, turn))
            self.take(s, t, half, half)

    def stand(self, s: float, t: float, ground: float, height: tuple[float, float], turn: float) -> None:
        """Put a camera at a place, if it is free, turned by `turn` radians from the axis."""
        if not self.is_free(s, t):
            return
        x, z = self.axis.points(np.array(s), np.array(t))
        yaw = self.axis.heading(s) + turn
        low, high = ground + height[0], ground + height[1]
        middle = (low + high) / 2
        ahead = np.array([x + 20 * math.sin(yaw), middle, z + 20 * math.cos(yaw)])
        eye = np.array([(x - 0.1, low, z - 0.1), (x + 0.1, high, z + 0.1)])
        rise = (high - low) / 2
        target = np.array([np.subtract(ahead, (2.0, 1.9 + rise, 2.0)), np.add(ahead, (2.0, 2.5 + rise, 2.0))])
        self.spots.append(Spot(eye, target, _GROUND, _LEAST_GROUND))

    def finished(self) -> Building:
        """Return the scene with its sky and lighting."""
        rng = self.rng
        dome = weather.sky(rng, self.weather)
        lighting = weather.lighting(rng, self.weather)
        scene = Scene((*self.items, dome), lighting, (0.0, 2.0, 0.0), _SHADOW_RADIUS, _FAR)
        return Building(scene, make_room(rectangle(-40, -40, 40, 40), 30.0), (), (), tuple(self.spots))


def ground_surface(style: Style, *kinds: str) -> Surface:
    """Draw a ground surface with one of these kinds of texture."""
    rng = style.rng
    tint = np.clip(rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.035, 3)), 0.3, 1.4).tolist()
    return Surface(style.textures.pick(rng, *kinds), float(rng.uniform(0.2, 0.5)), (tint[0], tint[1], tint[2]))


def land(site: Site, y: float) -> None:
    """Lay the land up to the horizon, with distant trees."""
    rng, half = site.rng, 260.0
    label = str(rng.choice(['grass', 'gravel', 'pavement'], p=[0.7, 0.1, 0.2]))
    surface = ground_surface(site.style, {'pavement': 'asphalt'}.get(label, label))
    square = quads([[(-half, y, half), (half, y, half), (half, y, -half), (-half, y, -half)]])
    site.cover(label, surface, square)
    for _ in range(rng.integers(0, 46)):
        turn, far = rng.uniform(0, 2 * math.pi), rng.uniform(75, 170)
        s, t = far * math.cos(turn), far * math.sin(turn)
        if abs(t) > 32:
            site.plant_tree(s, t, y, (0.9, 1.8))
    if rng.random() < _LANDMARKED:
        turn, far = rng.uniform(0, 2 * math.pi), rng.uniform(55, 140)
        t = far * math.sin(turn)
        if abs(t) > 40:
            site.try_model(_LANDMARKS, far * math.cos(turn), t, y)
