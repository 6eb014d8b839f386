# SPDX-License-Identifier: Apache-2.0
"""Place furniture against walls and in the open, and small objects on top of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lseg_lab.rooms.meshes import transform
from lseg_lab.rooms.piece import Piece, Top
from lseg_lab.rooms.plan import Opening, Room, Wall
from lseg_lab.rooms.scene import Item


class Arrangement:
    """The items of one room and the floor rectangles they occupy."""

    def __init__(self, rng: np.random.Generator, room: Room) -> None:
        """Start with an empty room; `rng` draws every position."""
        self.rng, self.room = rng, room
        self.items: list[Item] = []
        self.footprints: list[np.ndarray] = []  # [x0, z0, x1, z1] each
        self.focuses: list[np.ndarray] = []  # [x, y, z, size] of each point of interest

    def fits(self, footprint: np.ndarray, gap: float = 0.02) -> bool:
        """Return whether the floor rectangle [x0, z0, x1, z1] lies inside the room and is free."""
        x0, z0, x1, z1 = footprint + np.array([0.01, 0.01, -0.01, -0.01])
        xs, zs = np.linspace(x0, x1, 4), np.linspace(z0, z1, 4)
        border = np.array([(x, z) for x in xs for z in zs])
        if not self.room.contains(border).all():
            return False
        return not any(
            x0 < other[2] + gap and other[0] < x1 + gap and z0 < other[3] + gap and other[1] < z1 + gap
            for other in self.footprints
        )

    def keep_clear(self, wall: Wall, hole: Opening, depth: float) -> None:
        """Reserve `depth` metres of floor in front of a doorway."""
        self.footprints.append(_on_wall(wall, hole.centre, hole.width, depth, 0.0))

    def add(self, piece: Piece, matrix: np.ndarray) -> None:
        """Add a piece at the pose `matrix` (4x4) without checking that it fits."""
        self.items += piece.placed(matrix)
        width, height, depth = piece.size
        middle = (matrix @ [0, height / 2, 0, 1])[:3]
        self.focuses.append(np.array([*middle, max(width, depth) * max(height, 0.3)]))

    def against_wall(
        self, piece: Piece, wall: Wall | None = None, u: float | None = None, gap: float = 0.03, tries: int = 8
    ) -> tuple[Wall, float] | None:
        """Stand a piece with its back to a wall.

        Return the wall and the position along it in metres, or None if there is no room.
        """
        width = piece.size[0]
        for _ in range(tries):
            side = wall or self.room.walls[self.rng.integers(len(self.room.walls))]
            if width > side.length - 0.05:
                continue
            half = width / 2 + 0.02
            last = max(side.length - half, half + 1e-3)
            at = u if u is not None else self.rng.uniform(half, last)
            if self._stand(piece, side, at, gap):
                return side, at
        return None

    def _stand(self, piece: Piece, wall: Wall, u: float, gap: float) -> bool:
        width, height, depth = piece.size
        space = Opening(u, width, piece.elevation, height)
        if not wall.is_free(space, margin=0.0):
            return False
        footprint = _on_wall(wall, u, width, depth, gap)
        if piece.elevation < 1.0:
            if not self.fits(footprint):
                return False
            self.footprints.append(footprint)
        wall.taken.append(space)
        self.add(piece, wall.frame(u, piece.elevation, depth / 2 + gap))
        return True

    def in_the_open(self, piece: Piece, turn: float | None = None, tries: int = 10) -> np.ndarray | None:
        """Stand a piece at a random free place; return its 4x4 pose, or None if none is free."""
        turn = self.rng.uniform(0, 2 * math.pi) if turn is None else turn
        for _ in range(tries):
            x, z = self.rng.uniform(self.room.low, self.room.high)
            pose = self.at(piece, x, z, turn)
            if pose is not None:
                return pose
        return None

    def at(self, piece: Piece, x: float, z: float, turn: float) -> np.ndarray | None:
        """Stand a piece at (x, z) if it fits there; return its 4x4 pose, or None if it does not."""
        footprint = _turned(piece, x, z, turn)
        if not self.fits(footprint):
            return None
        self.footprints.append(footprint)
        pose = transform(x, piece.elevation, z, turn)
        self.add(piece, pose)
        return pose

    def on_top(
        self,
        top: Top,
        pose: np.ndarray,
        items: list[Item],
        turn: float = 0.0,
        x: float | None = None,
        z: float | None = None,
    ) -> None:
        """Put small items on one top of a piece that stands at `pose`."""
        across = self.rng.uniform(-0.46, 0.46) if x is None else x
        deep = self.rng.uniform(-0.42, 0.42) if z is None else z
        where = pose @ transform(top.x + across * top.width, top.height, top.z + deep * top.depth, turn)
        self.fix(items, where)

    def fix(self, items: Sequence[Item], frame: np.ndarray) -> None:
        """Add items whose poses are relative to `frame` (4x4) without checking for space."""
        self.items += [replace(item, matrix=frame @ item.matrix) for item in items]


def _on_wall(wall: Wall, u: float, width: float, depth: float, gap: float) -> np.ndarray:
    near = wall.start + wall.along * u + wall.normal * gap
    far = near + wall.normal * depth
    half = wall.along * width / 2
    corners = np.array([near - half, near + half, far - half, far + half])
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _turned(piece: Piece, x: float, z: float, turn: float) -> np.ndarray:
    width, _, depth = piece.size
    cosine, sine = abs(math.cos(turn)), abs(math.sin(turn))
    half_x, half_z = (width * cosine + depth * sine) / 2, (width * sine + depth * cosine) / 2
    return np.array([x - half_x, z - half_z, x + half_x, z + half_z])
