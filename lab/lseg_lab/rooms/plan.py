# SPDX-License-Identifier: Apache-2.0
"""Rooms as rectilinear polygons with walls, and openings in the walls."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np

from lseg_lab.rooms.meshes import Mesh, box, merge, quads, transform

WALL_THICKNESS = 0.14


@dataclass(frozen=True)
class Opening:
    """A rectangular hole in a wall; `centre` along the wall and `bottom` up it, metres."""

    centre: float
    width: float
    bottom: float
    height: float
    depth: float = WALL_THICKNESS  # of its inner faces; 0 if the wall behind provides them

    @property
    def top(self) -> float:
        """Return the height of the upper edge, in metres."""
        return self.bottom + self.height


@dataclass
class Wall:
    """One side of a room. `normal` points into the room; u runs from `start` along `along`."""

    start: np.ndarray
    along: np.ndarray
    length: float
    height: float
    openings: list[Opening] = field(default_factory=list)
    taken: list[Opening] = field(default_factory=list)  # rectangles occupied by fittings

    @property
    def normal(self) -> np.ndarray:
        """Return the unit vector [x, z] that points into the room."""
        return np.array([-self.along[1], self.along[0]])

    @property
    def turn(self) -> float:
        """Return the turn about y (radians) that maps +z to the normal."""
        return math.atan2(self.normal[0], self.normal[1])

    def frame(self, u: float, y: float = 0.0, out: float = 0.0) -> np.ndarray:
        """Return 4x4 from a frame on the wall (x along it, y up, z inward) to the world."""
        x, z = self.start + self.along * u + self.normal * out
        return transform(x, y, z, self.turn)

    def is_free(self, wanted: Opening, margin: float = 0.03) -> bool:
        """Return whether the rectangle lies within the wall and nothing on the wall touches it."""
        inside = (
            wanted.centre - wanted.width / 2 > 0.02
            and wanted.centre + wanted.width / 2 < self.length - 0.02
            and wanted.top <= self.height
        )
        return inside and not any(
            abs(wanted.centre - other.centre) < (wanted.width + other.width) / 2 + margin
            and wanted.bottom < other.top + margin
            and other.bottom < wanted.top + margin
            for other in self.taken
        )


@dataclass
class Room:
    """A rectilinear polygon, [N, 2] of x, z, interior on the left of each edge's normal."""

    outline: np.ndarray
    height: float
    walls: list[Wall]
    pits: list[np.ndarray] = field(default_factory=list)  # [x0, z0, x1, z1] without floor

    @property
    def low(self) -> np.ndarray:
        """Return the minimum x and z."""
        return self.outline.min(axis=0)

    @property
    def high(self) -> np.ndarray:
        """Return the maximum x and z."""
        return self.outline.max(axis=0)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return bool [N]: whether points [N, 2] lie within the outline and outside all pits."""
        inside = self.encloses(points)
        for x0, z0, x1, z1 in self.pits:
            across, along = points.T
            inside &= (across < x0) | (across > x1) | (along < z0) | (along > z1)
        return inside

    def encloses(self, points: np.ndarray) -> np.ndarray:
        """Return bool [N] for points [N, 2], by counting crossings of the outline."""
        inside = np.zeros(len(points), bool)
        for first, second in zip(self.outline, np.roll(self.outline, -1, axis=0)):
            crosses = (first[1] > points[:, 1]) != (second[1] > points[:, 1])
            span = second[1] - first[1] or 1e-12
            x = first[0] + (points[:, 1] - first[1]) / span * (second[0] - first[0])
            inside ^= crosses & (points[:, 0] < x)
        return inside


def make_room(outline: np.ndarray, height: float) -> Room:
    """Build a room from its outline, which must be oriented so that normals point inside."""
    walls = []
    for first, second in zip(outline, np.roll(outline, -1, axis=0)):
        length = float(np.linalg.norm(second - first))
        walls.append(Wall(first, (second - first) / length, length, height))
    return Room(outline, height, walls)


def rectangle(x0: float, z0: float, x1: float, z1: float) -> np.ndarray:
    """Return the outline of a rectangular room."""
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)], float)


def random_room(rng: np.random.Generator, corridor: bool) -> Room:
    """Draw a rectangular or L-shaped room; corridors are long and narrow."""
    if corridor:
        width, depth = rng.uniform(1.2, 2.2), rng.uniform(4.5, 9.0)
    else:
        longest = 10.0 if rng.random() < 0.15 else 6.5
        width, depth = rng.uniform(2.6, longest, 2)
    x, z = width / 2, depth / 2
    height = rng.uniform(2.3, 3.1)
    if corridor or rng.random() < 0.7 or min(width, depth) < 3:
        return make_room(rectangle(-x, -z, x, z), height)
    cut_x, cut_z = x - rng.uniform(0.8, width * 0.5), z - rng.uniform(0.8, depth * 0.5)
    outline = np.array([(-x, -z), (x, -z), (x, cut_z), (cut_x, cut_z), (cut_x, z), (-x, z)])
    if rng.random() < 0.5:
        outline = (outline * [-1, 1])[::-1]
    return make_room(outline, height)


def wall_mesh(wall: Wall) -> Mesh:
    """Build the wall in its own frame (u along +x, y up, facing +z), with holes and reveals."""
    cuts = sorted(
        {
            0.0,
            wall.length,
            *(edge for hole in wall.openings for edge in (hole.centre - hole.width / 2, hole.centre + hole.width / 2)),
        }
    )
    strips = []
    for left, right in itertools.pairwise(cuts):
        middle = (left + right) / 2
        hole = next((hole for hole in wall.openings if abs(middle - hole.centre) < hole.width / 2), None)
        spans = [(0.0, wall.height)] if hole is None else [(0.0, hole.bottom), (hole.top, wall.height)]
        strips += [(left, right, low, high) for low, high in spans if high - low > 1e-4]
    corners = [[(u0, y0, 0), (u1, y0, 0), (u1, y1, 0), (u0, y1, 0)] for u0, u1, y0, y1 in strips]
    return merge([quads(corners), *(_reveal(hole) for hole in wall.openings if hole.depth)])


def lower_part(wall: Wall, height: float) -> Wall:
    """Return the wall up to `height`, without the reveals of its holes, for wall coverings."""
    holes = [
        replace(hole, height=min(hole.height, height - hole.bottom), depth=0.0)
        for hole in wall.openings
        if hole.bottom < height - 1e-3
    ]
    return Wall(wall.start, wall.along, wall.length, height, holes)


def _reveal(hole: Opening) -> Mesh:
    """Build the inner faces of a hole except its floor."""
    t = hole.depth
    thin = 0.002
    x0, x1 = hole.centre - hole.width / 2, hole.centre + hole.width / 2
    sides = [
        box(thin, hole.height, t, x0 - thin / 2, hole.bottom, -t / 2),
        box(thin, hole.height, t, x1 + thin / 2, hole.bottom, -t / 2),
        box(hole.width, thin, t, hole.centre, hole.top, -t / 2),
    ]
    if hole.bottom > 0.01:
        sides.append(box(hole.width, thin, t, hole.centre, hole.bottom - thin, -t / 2))
    return merge(sides)


def skirting(wall: Wall, height: float, depth: float) -> Mesh | None:
    """Build a board along the foot of the wall, interrupted at doors, in the wall's frame."""
    doors = sorted(
        (hole.centre - hole.width / 2 - 0.07, hole.centre + hole.width / 2 + 0.07)
        for hole in wall.openings
        if hole.bottom < height
    )
    boards, start = [], 0.0
    for left, right in [*doors, (wall.length, wall.length)]:
        if left - start > 0.02:
            boards.append(box(left - start, height, depth, (start + left) / 2, 0, depth / 2))
        start = right
    return merge(boards) if boards else None
