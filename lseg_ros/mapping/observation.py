# SPDX-License-Identifier: Apache-2.0
"""What one frame of a camera adds to a map: points with embeddings, and the rays to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_ros.mapping.ranges import MIN_DEPTH
from lseg_ros.mapping.unusable import Unusable

# Along a plane, inverse depth is linear. Where it bends by more than this share, surfaces end.
_LARGEST_BEND = 0.1
# Of the rays, every nth row and column clears: the frames after it see through the same voxels.
_CLEARING_STRIDE = 2
_SAMPLES_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class DepthLimits:
    """Which depth is used: from `least` to `most`, in metres, and how much it is trusted.

    The standard deviation of depth is `noise` times its square, in 1/m, as for stereo cameras.
    """

    least: float = MIN_DEPTH
    most: float = 4.0
    noise: float = 0.002

    def __post_init__(self) -> None:
        """Raise ValueError for values out of range."""
        if not 0 <= self.least < self.most:
            raise ValueError(f'depth must be used from 0 or more to some more, not {self.least} to {self.most} m')
        if not self.noise >= 0:
            raise ValueError(f'the noise of depth must be 0 or more, not {self.noise}')


@dataclass(frozen=True)
class Rays:
    """R rays from one place: directions [R, 3] with a depth of 1, and the depth each ends at, [R].

    `margins`, [R], says how far before its end a ray may still touch the surface that ends it.
    """

    origin: np.ndarray
    directions: np.ndarray
    depths: np.ndarray
    margins: np.ndarray


@dataclass(frozen=True)
class Observation:
    """N points in the frame of the map, in metres, float32 [N, 3], and what is seen there.

    `vectors` are unit embeddings [N, D], `colors` uint8 [N, 3], `weights` float32 [N], 0 to 1.
    """

    stamp_s: float
    points: np.ndarray
    vectors: Tensor
    colors: np.ndarray
    weights: np.ndarray
    rays: Rays


@dataclass(frozen=True)
class GridView:
    """A grid of vectors over an image, with the depth and the ray of each.

    `vectors` are [h, w, D], `colors` uint8 [h, w, 3], `depth` float32 [h, w] in metres, NaN where
    unknown, and `rays` float32 [2, h, w], x/z and y/z in the optical frame (see
    `lseg_ros.core.cloud.pixel_rays`). `pose` is the transform [4, 4] from the optical frame to the
    map, and `stamp_s` the time in seconds.
    """

    vectors: Tensor
    colors: np.ndarray
    depth: np.ndarray
    rays: np.ndarray
    pose: np.ndarray
    stamp_s: float


def observe(view: GridView, limits: DepthLimits, voxel_size: float) -> Observation:
    """Return what `view` adds to a map with voxels of this size, in metres.

    Places without depth, out of range or at the edge of an object, where depth cameras see what is
    not there, are left out. Raise Unusable for a pose that is not finite.
    """
    if not np.isfinite(view.pose).all():
        raise Unusable('bad pose', 'the pose of the camera is not finite')
    with np.errstate(invalid='ignore'):
        used = (view.depth >= limits.least) & (view.depth <= limits.most)
    used &= ~_edges(view.depth)
    used &= np.isfinite(view.rays).all(0)
    depth = view.depth[used]
    directions = np.stack([*view.rays[:, used], np.ones_like(depth)], axis=1)
    points = directions * depth[:, None] @ view.pose[:3, :3].T + view.pose[:3, 3]
    return Observation(
        view.stamp_s,
        points.astype(np.float32),
        view.vectors[torch.from_numpy(used)],
        view.colors[used],
        np.minimum(1.0, voxel_size / np.maximum(limits.noise * depth**2, 1e-9)).astype(np.float32),
        _clearing_rays(view, limits, voxel_size),
    )


def samples_along(rays: Rays, step: float) -> Iterator[np.ndarray]:
    """Yield places [M, 3] every `step` metres of depth along the part of each ray that is free.

    They come in parts, of about a million places each, since a dense image has very many.
    """
    counts = np.maximum((rays.depths - rays.margins) / step, 0).astype(np.int64)
    part_of = np.cumsum(counts) // _SAMPLES_AT_ONCE
    for part in np.split(np.arange(len(counts)), np.flatnonzero(np.diff(part_of)) + 1):
        ray_of = np.repeat(part, counts[part])
        firsts = np.cumsum(counts[part]) - counts[part]
        number = np.arange(len(ray_of)) - np.repeat(firsts, counts[part])
        reached = ((number + 0.5) * step).astype(np.float32)
        yield rays.origin + rays.directions[ray_of] * reached[:, None]


def _clearing_rays(view: GridView, limits: DepthLimits, voxel_size: float) -> Rays:
    """Return some of the rays; those that end out of range clear what is within it."""
    offset = int(view.stamp_s * 1000) % _CLEARING_STRIDE**2
    part = np.s_[offset // _CLEARING_STRIDE :: _CLEARING_STRIDE, offset % _CLEARING_STRIDE :: _CLEARING_STRIDE]
    depth, jump = view.depth[part], _jumps(view.depth)[part]
    rays = view.rays[(slice(None), *part)]
    with np.errstate(invalid='ignore'):
        used = (depth >= limits.least) & np.isfinite(rays).all(0)
    depth, jump = depth[used], jump[used]
    directions = np.stack([*rays[:, used], np.ones_like(depth)], axis=1) @ view.pose[:3, :3].T
    # Along a surface that is seen at a flat angle, depth changes fast from ray to ray.
    margins = 2 * voxel_size + 2 * limits.noise * depth**2 + 2 * jump
    return Rays(
        view.pose[:3, 3].astype(np.float32),
        directions.astype(np.float32),
        np.minimum(depth, limits.most + margins),
        margins,
    )


def _edges(depth: np.ndarray) -> np.ndarray:
    """Return where a surface ends, bool [h, w]: depth cameras see there what is not there."""
    inverse = 1 / depth
    edges = np.zeros(depth.shape, bool)
    with np.errstate(invalid='ignore'):
        edges[1:-1] |= np.abs(np.diff(inverse, 2, axis=0)) > _LARGEST_BEND * inverse[1:-1]
        edges[:, 1:-1] |= np.abs(np.diff(inverse, 2, axis=1)) > _LARGEST_BEND * inverse[:, 1:-1]
    return edges


def _jumps(depth: np.ndarray) -> np.ndarray:
    """Return the greatest difference of depth between a place and its neighbours, [h, w]."""
    jumps = np.zeros_like(depth)
    for axis in (0, 1):
        step = np.abs(np.diff(depth, axis=axis))
        ahead, behind = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        for place in (ahead, behind):
            jumps[place] = np.fmax(jumps[place], step)  # ignores NaN, where depth is unknown
    return jumps
