# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes and the basic solids that rooms are built of. Metres, y up, right-handed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

POSITION, NORMAL, UV, COLOUR, LAYER = slice(0, 3), slice(3, 6), slice(6, 8), slice(8, 11), 11
VERTEX_FLOATS = 12
NO_TEXTURE = -1.0


@dataclass(frozen=True, eq=False)
class Mesh:
    """Unindexed triangles: float32 [3T, 12] of position, normal, uv, sRGB colour, texture."""

    vertices: np.ndarray

    def moved(self, matrix: np.ndarray) -> Mesh:
        """Return this mesh transformed by a rigid or scaling 4x4 matrix."""
        moved = self.vertices.copy()
        moved[:, POSITION] = moved[:, POSITION] @ matrix[:3, :3].T + matrix[:3, 3]
        normals = moved[:, NORMAL] @ np.linalg.inv(matrix[:3, :3])
        moved[:, NORMAL] = normals / np.maximum(np.linalg.norm(normals, axis=1)[:, None], 1e-9)
        return Mesh(moved.astype(np.float32))

    def at(self, x: float, y: float, z: float) -> Mesh:
        """Return this mesh shifted by (x, y, z) metres."""
        moved = self.vertices.copy()
        moved[:, POSITION] += np.array([x, y, z], np.float32)
        return Mesh(moved)

    def painted(self, rgb: ArrayLike) -> Mesh:
        """Return this mesh with its colour multiplied by `rgb`."""
        painted = self.vertices.copy()
        painted[:, COLOUR] *= np.asarray(rgb, np.float32)
        return Mesh(painted)

    def textured(self, layer: float) -> Mesh:
        """Return this mesh with texture `layer` at its own uv coordinates."""
        textured = self.vertices.copy()
        textured[:, LAYER] = layer
        return Mesh(textured)

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the minimum and maximum corner, in metres."""
        points = self.vertices[:, POSITION]
        return points.min(axis=0), points.max(axis=0)


def triple(values: ArrayLike) -> tuple[float, float, float]:
    """Return three numbers as a tuple of floats."""
    x, y, z = np.asarray(values).tolist()
    return float(x), float(y), float(z)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Return one mesh with all triangles of `meshes` (at least one)."""
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]))


def simplified(mesh: Mesh, most: int) -> Mesh:
    """Reduce the mesh to about `most` triangles by clustering its vertices on a grid.

    Source: Rossignac and Borrel, "Multi-resolution 3D approximations for rendering", 1993.
    Corners in one cell merge into one point and collapsed triangles are dropped; the grid is
    coarsened until few enough remain.
    """
    low, high = mesh.bounds
    cells = 256
    while len(mesh.vertices) > 3 * most and cells >= 24:
        size = max(float((high - low).max()) / cells, 1e-9)
        cell = np.round((mesh.vertices[:, POSITION] - low) / size).astype(np.int64)
        key = (cell @ [1 << 40, 1 << 20, 1]).reshape(-1, 3)
        flat = (key == np.roll(key, 1, axis=1)).any(axis=1)
        _, first = np.unique(np.sort(key, axis=1), axis=0, return_index=True)
        kept = np.intersect1d(np.flatnonzero(~flat), first)
        _, mean_of = np.unique(key.ravel(), return_inverse=True)
        count = np.bincount(mean_of.ravel())
        points = mesh.vertices[:, POSITION]
        centres = [np.bincount(mean_of.ravel(), points[:, axis]) / count for axis in range(3)]
        vertices = mesh.vertices.copy()
        vertices[:, POSITION] = np.stack(centres, axis=1)[mean_of.ravel()]
        mesh = Mesh(vertices.reshape(-1, 3, VERTEX_FLOATS)[kept].reshape(-1, VERTEX_FLOATS))
        cells = cells * 3 // 4
    return mesh


def transform(
    x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: float = 0.0, scale: Sequence[float] = (1.0, 1.0, 1.0)
) -> np.ndarray:
    """Return a 4x4 matrix that scales, turns about y (radians; +z towards +x), then shifts."""
    matrix = np.eye(4)
    cosine, sine = math.cos(turn), math.sin(turn)
    rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    matrix[:3, :3] = rotation * np.asarray(scale, float)
    matrix[:3, 3] = x, y, z
    return matrix


def tilt(about: str, angle: float) -> np.ndarray:
    """Return a 4x4 rotation about axis 'x' or 'z' by `angle` radians."""
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = np.eye(4)
    first, second = (1, 2) if about == 'x' else (0, 1)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def triangles(points: np.ndarray, normals: np.ndarray, uv: np.ndarray) -> Mesh:
    """Build a white untextured mesh of [3T, 3] points and normals and [3T, 2] uv."""
    vertices = np.ones((len(points), VERTEX_FLOATS), np.float32)
    vertices[:, POSITION], vertices[:, NORMAL], vertices[:, UV] = points, normals, uv
    vertices[:, LAYER] = NO_TEXTURE
    return Mesh(vertices)


_CORNER_UV = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], np.float32)


def quads(corners: ArrayLike) -> Mesh:
    """Build flat quads [Q, 4, 3], counter-clockwise seen from the front, each with uv 0..1."""
    cells = np.asarray(corners, np.float32)
    normal = np.cross(cells[:, 1] - cells[:, 0], cells[:, 3] - cells[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    points = cells[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return triangles(points, np.repeat(normal, 6, axis=0), np.tile(_CORNER_UV, (len(cells), 1)))


def panel(width: float, height: float) -> Mesh:
    """Build an upright rectangle facing +z, standing on y = 0, centred in x."""
    half = width / 2
    return quads([[(-half, 0, 0), (half, 0, 0), (half, height, 0), (-half, height, 0)]])


_BOX_FACES = np.array(
    [
        [(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)],
        [(1, 0, 0), (0, 0, 0), (0, 1, 0), (1, 1, 0)],
        [(1, 0, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1)],
        [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)],
        [(0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0)],
        [(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)],
    ],
    np.float32,
)
_BOX_MESH = quads(_BOX_FACES - np.array([0.5, 0, 0.5], np.float32)).vertices


def box(width: float, height: float, depth: float, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
    """Build a box whose bottom centre is at (x, y, z)."""
    vertices = _BOX_MESH.copy()
    vertices[:, POSITION] *= np.array([width, height, depth], np.float32)
    vertices[:, POSITION] += np.array([x, y, z], np.float32)
    return Mesh(vertices)


def wedge(inner: float, outer: float, angle: float, height: float) -> Mesh:
    """Build a sector of a ring about y, centred on +z, standing on y = 0; radii in metres."""
    across, up, out = np.moveaxis(_BOX_FACES, 2, 0)
    turn, radius = (across - 0.5) * angle, inner + (outer - inner) * out
    corners = np.stack([radius * np.sin(turn), up * height, radius * np.cos(turn)], axis=2)
    return quads(corners)


def prism(outline: Sequence[tuple[float, float]], height: float) -> Mesh:
    """Build an upright prism on y = 0 over a convex outline of x, z, turning from +z to +x."""
    foot = np.array([(x, 0.0, z) for x, z in outline])
    top = foot + np.array([0.0, height, 0.0])
    sides = [(foot[i - 1], foot[i], top[i], top[i - 1]) for i in range(len(foot))]
    lids = [(lid[0], lid[i], lid[i + 1], lid[i + 1]) for lid in (top, foot[::-1]) for i in range(1, len(foot) - 1)]
    return quads([*sides, *lids])


def grid(points: np.ndarray) -> Mesh:
    """Build a smooth sheet through [R, C, 3] points; rows x columns turn counter-clockwise."""
    points = np.asarray(points, np.float32)
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    rows, columns = points.shape[:2]
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    sheet = np.concatenate([points, normals, np.stack([u, v], -1)], axis=2)
    corners = (sheet[:-1, :-1], sheet[:-1, 1:], sheet[1:, 1:], sheet[1:, :-1])
    flat = np.stack([corners[i] for i in (0, 1, 2, 0, 2, 3)], axis=2).reshape(-1, 8)
    return triangles(flat[:, :3], flat[:, 3:6], flat[:, 6:8])


def lathe(profile: Sequence[tuple[float, float]], segments: int = 16) -> Mesh:
    """Build a surface of revolution about y from (radius, height) pairs, bottom to top."""
    angles = np.linspace(0, 2 * math.pi, segments + 1)
    radius, height = np.array(profile, np.float32).T
    points = np.stack(
        [
            radius[:, None] * np.sin(angles),
            np.repeat(height[:, None], segments + 1, axis=1),
            radius[:, None] * np.cos(angles),
        ],
        axis=2,
    )
    return grid(points)


def cylinder(radius: float, height: float, segments: int = 16) -> Mesh:
    """Build a closed upright cylinder standing on y = 0, with hard edges."""
    side = lathe([(radius, 0), (radius, height)], segments)
    cap = lathe([(radius, height), (0, height)], segments)
    return merge([side, cap])


def cushion(width: float, height: float, depth: float, power: float = 4.0, cells: int = 8) -> Mesh:
    """Build a pillow-shaped solid lying on y = 0; a higher `power` makes its edges squarer."""
    line = np.sin(np.linspace(-1, 1, cells + 1) * math.pi / 2)
    x, z = np.meshgrid(line, -line)
    bulge = np.sqrt(np.clip((1 - np.abs(x) ** power) * (1 - np.abs(z) ** power), 0, 1))
    sheets = [np.stack([x * width / 2, height / 2 * (1 + side * bulge), z * depth / 2], axis=2) for side in (1, -1)]
    return merge([grid(sheets[0]), grid(sheets[1][:, ::-1])])


def stadium(width: float, depth: float, thickness: float, roundness: float) -> Mesh:
    """Build a table top: superellipse outline, `roundness` 2 (ellipse) to 20 (nearly square)."""
    angles = np.linspace(0, 2 * math.pi, 41)
    sine, cosine = np.round([np.sin(angles), np.cos(angles)], 9)  # so that the ends meet
    x = np.sign(sine) * np.abs(sine) ** (2 / roundness) * width / 2
    z = np.sign(cosine) * np.abs(cosine) ** (2 / roundness) * depth / 2
    flat = np.zeros_like(x)
    rim = np.stack([np.stack([x, flat, z], 1), np.stack([x, flat + thickness, z], 1)])
    top = np.stack([rim[1], np.array([0, thickness, 0], np.float32) + 0 * rim[1]])
    top_mesh = grid(top).vertices
    top_mesh[:, NORMAL] = 0, 1, 0
    return merge([grid(rim), Mesh(top_mesh)])
