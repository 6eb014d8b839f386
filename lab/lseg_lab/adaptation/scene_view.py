# SPDX-License-Identifier: Apache-2.0
"""Where the pixels of a frame lie, from its depth, lens and pose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lseg_ros.core.cloud import PixelGrid, depth_in_metres, pixel_rays
from lseg_ros.core.geometry import Size, nearest
from lseg_ros.core.lens import Lens

STRIDE = 4  # of the pixels whose places are kept, down and across
_LEAST_DEPTH = 0.1  # metres
# A point is what a pixel shows if their distances differ by no more than this share.
_SAME_DEPTH = 0.05


@dataclass(frozen=True, eq=False)
class SceneView:
    """Every STRIDE-th pixel, down and across, of a frame of `size`.

    `depth` is float32 [h, w] in metres, NaN where unknown; `pose` is the transform [4, 4] from the
    optical frame to one whose z points up.
    """

    size: Size
    depth: np.ndarray
    lens: Lens
    pose: np.ndarray

    @classmethod
    def of(cls, depth: np.ndarray, lens: Lens, pose: np.ndarray) -> SceneView:
        """Thin out `depth`, uint16 in millimetres or float32 in metres, with the image's size."""
        size = depth.shape[0], depth.shape[1]
        return cls(size, depth_in_metres(_grid(size).sample(depth)), lens, pose)

    def sample(self, plane: np.ndarray) -> np.ndarray:
        """Return [h, w] of a plane over the frame, of any size [H, W]: the nearest pixels."""
        rows, columns = (nearest(old, new, STRIDE) for old, new in zip(plane.shape, self.size))
        sampled: np.ndarray = plane[rows[:, None], columns]
        return sampled

    def points(self) -> np.ndarray:
        """Return the places of the pixels, float64 [h, w, 3] in metres, NaN where unknown."""
        x, y = pixel_rays(_grid(self.size), *self.lens)
        optical = np.stack([x * self.depth, y * self.depth, self.depth], axis=-1)
        points: np.ndarray = optical @ self.pose[:3, :3].T + self.pose[:3, 3]
        return points

    def find(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the points [N, 3] the frame shows, and where.

        That is their indices [M] and their pixels, float64 [M, 2]: row and column as shares of the
        frame's height and width. Points that are hidden behind others are not shown.
        """
        optical = (points - self.pose[:3, 3]) @ self.pose[:3, :3]
        index = np.flatnonzero(optical[:, 2] > _LEAST_DEPTH)  # not for NaN
        pixels = _projected(optical[index], self.lens)[:, ::-1]
        inside = np.all((pixels > -0.5) & (pixels < np.array(self.size) - 0.5), axis=1)
        index, pixels = index[inside], pixels[inside]
        last = np.array(self.depth.shape) - 1
        rows, columns = np.minimum(np.rint(pixels / STRIDE), last).astype(np.intp).T
        seen = np.abs(self.depth[rows, columns] / optical[index, 2] - 1) < _SAME_DEPTH
        return index[seen], (pixels[seen] + 0.5) / self.size


def _grid(size: Size) -> PixelGrid:
    return PixelGrid.between(size, size, STRIDE)


def _projected(optical: np.ndarray, lens: Lens) -> np.ndarray:
    """Return the pixels x and y, float64 [N, 2], of points [N, 3] in front of a lens."""
    if not len(optical):
        return np.zeros((0, 2))
    still = np.zeros(3)
    if lens.is_fisheye:
        pixels, _ = cv2.fisheye.projectPoints(optical[:, None], still, still, lens.matrix, lens.distortion)
    else:
        pixels, _ = cv2.projectPoints(optical, still, still, lens.matrix, lens.distortion)
    return pixels.reshape(-1, 2)
