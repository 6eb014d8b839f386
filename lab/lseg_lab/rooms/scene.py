# SPDX-License-Identifier: Apache-2.0
"""Describe a scene as frozen data: labelled items with surfaces, lights and a camera."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from lseg_lab.rooms.meshes import NO_TEXTURE, Mesh, triple

NEAR, FAR = 0.05, 40.0


@dataclass(frozen=True)
class Surface:
    """How a mesh looks. A texture layer here replaces the mesh's own and is mapped in metres."""

    layer: float = NO_TEXTURE
    scale: float = 1.0  # texture repeats per metre
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 0.0  # 0 matt to 1 mirror
    emission: float = 0.0  # emitted light as a multiple of the colour

    def tinted(self, tint: ArrayLike) -> Surface:
        """Return this surface with its tint multiplied by `tint`."""
        return replace(self, tint=triple(np.multiply(self.tint, tint)))


PLAIN = Surface()


@dataclass(frozen=True, eq=False)
class Item:
    """A mesh in the scene. `shared` meshes stay on the graphics device between scenes."""

    mesh: Mesh
    label: str
    surface: Surface = PLAIN
    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))
    shadow: bool = True
    shared: bool = False


@dataclass(frozen=True)
class PointLight:
    """A lamp: position in metres, linear RGB intensity at one metre."""

    position: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class WindowLight:
    """Daylight through a window: centre, inward normal, linear RGB times area."""

    position: tuple[float, float, float]
    normal: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Lighting:
    """All light of a scene. The first lamp and the sun cast shadows."""

    ambient: np.ndarray  # [6, 3]: light arriving at faces towards +x -x +y -y +z -z
    lamps: tuple[PointLight, ...]
    windows: tuple[WindowLight, ...]
    sun_direction: tuple[float, float, float]  # towards the sun, unit length
    sun_colour: tuple[float, float, float]
    exposure_bias: float  # stops added to the metered exposure
    occlusion: float  # strength of ambient occlusion, 0..1
    bloom: float  # strength of the glow around overexposed areas
    haze: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # linear RGB, density per metre


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is rendered."""

    items: tuple[Item, ...]
    lighting: Lighting
    centre: tuple[float, float, float]
    radius: float  # of a sphere around everything that casts a shadow, metres
    far: float = FAR  # nothing farther away is seen, metres


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Yaw 0 looks along +z; pitch up and roll clockwise are positive. Radians."""

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    vertical_fov: float

    def rotation(self) -> np.ndarray:
        """Return 3x3: rows are the camera's right, up and backward axes in the world (OpenGL)."""
        cosine = math.cos(self.pitch)
        forward = np.array([math.sin(self.yaw) * cosine, math.sin(self.pitch), math.cos(self.yaw) * cosine])
        right = np.cross(forward, [0, 1, 0])
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        cosine, sine = math.cos(self.roll), math.sin(self.roll)
        return np.stack([cosine * right - sine * up, sine * right + cosine * up, -forward])

    def view_matrix(self) -> np.ndarray:
        """Return the 4x4 matrix from world to eye."""
        return rigid_inverse(self.rotation(), np.array(self.position))

    def intrinsics(self, width: int, height: int) -> np.ndarray:
        """Return the 3x3 matrix K in pixels: square pixels, principal point at the image centre."""
        focal = height / 2 / math.tan(self.vertical_fov / 2)
        return np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])

    def optical_pose(self) -> np.ndarray:
        """Return 4x4 from the optical frame (x right, y down, z forward) to the world."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation().T @ np.diag([1.0, -1.0, -1.0])
        pose[:3, 3] = self.position
        return pose


def rigid_inverse(rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return 4x4 from the world to a frame with these axes (rows) and this origin."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ position
    return matrix


def perspective(vertical_fov: float, aspect: float, near: float, far: float) -> np.ndarray:
    """Return OpenGL's 4x4 perspective projection."""
    scale = 1 / math.tan(vertical_fov / 2)
    return np.array(
        [
            [scale / aspect, 0, 0, 0],
            [0, scale, 0, 0],
            [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
            [0, 0, -1, 0],
        ]
    )


def orthographic(half: float, near: float, far: float) -> np.ndarray:
    """Return OpenGL's 4x4 orthographic projection of a square of side 2 * half."""
    return np.array(
        [
            [1 / half, 0, 0, 0],
            [0, 1 / half, 0, 0],
            [0, 0, -2 / (far - near), -(far + near) / (far - near)],
            [0, 0, 0, 1],
        ]
    )


def looking_at(eye: np.ndarray, target: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return 4x4 from the world to an eye at `eye` that looks at `target`."""
    backward = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross(up, backward)
    right /= np.linalg.norm(right)
    return rigid_inverse(np.stack([right, np.cross(backward, right), backward]), eye)
