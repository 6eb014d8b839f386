# SPDX-License-Identifier: Apache-2.0
"""The centre line of a street, and surfaces that follow it.

A place is given by s, metres along the line, and t, metres to its left; y is the height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lseg_lab.rooms.meshes import Mesh, quads, transform

_STEP = 5.0  # metres: longest straight segment of a bend


@dataclass(frozen=True)
class Axis:
    """A line or arc that runs through the origin along +z; `curvature` is in 1 / metres."""

    curvature: float = 0.0

    def heading(self, s: float) -> float:
        """Return the direction at s, in radians about y; 0 is along +z."""
        return self.curvature * s

    def points(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return x and z at (s, t), [..., 2]; s and t broadcast against each other."""
        turn = self.curvature * np.asarray(s, float)
        if abs(self.curvature) < 1e-6:
            x, z = 0 * turn, np.asarray(s, float)
        else:
            x, z = (1 - np.cos(turn)) / self.curvature, np.sin(turn) / self.curvature
        return np.stack(np.broadcast_arrays(x + t * np.cos(turn), z - t * np.sin(turn)), axis=-1)

    def frame(self, s: float, t: float, y: float = 0.0, turn: float = 0.0) -> np.ndarray:
        """Return the 4x4 pose at (s, t) that faces along the street, turned by `turn` radians."""
        x, z = self.points(np.array(s), np.array(t))
        return transform(float(x), y, float(z), self.heading(s) + turn)

    def facing(self, s: float, t: float, side: int, y: float = 0.0) -> np.ndarray:
        """Return the pose at (s, t) that faces the street from its `side`, 1 left, -1 right."""
        return self.frame(s, t, y, -side * math.pi / 2)

    def sweep(self, start: float, end: float, profile: Sequence[tuple[float, float]]) -> Mesh:
        """Return the surface swept by a profile of (t, y) points from s = `start` to `end`."""
        count = 2 if abs(self.curvature) < 1e-6 else max(2, math.ceil((end - start) / _STEP) + 1)
        s = np.linspace(start, end, count)
        pieces = []
        for (t0, y0), (t1, y1) in pairwise(profile):
            edges = [np.insert(self.points(s, np.array(t)), 1, y, axis=1) for t, y in ((t0, y0), (t1, y1))]
            pieces.append(np.stack([edges[0][:-1], edges[0][1:], edges[1][1:], edges[1][:-1]], axis=1))
        return quads(np.concatenate(pieces))

    def strip(self, start: float, end: float, t0: float, t1: float, y: float = 0.0) -> Mesh:
        """Return a level strip from t0 to t1."""
        return self.sweep(start, end, [(t0, y), (t1, y)])
