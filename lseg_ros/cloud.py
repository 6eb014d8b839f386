# SPDX-License-Identifier: Apache-2.0
"""Depth and class ids to labelled points: an organised cloud, one point for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# A point as it lies in memory. rgb holds the bytes 0, R, G, B of a whole number, from the highest
# to the lowest, in the place of a float, as the Point Cloud Library has it.
POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<f4'), ('label', '<u4'),
                  ('confidence', '<f4')])
# A ray that its distortion does not bring back this close to its pixel has no meaning.
MAX_REPROJECTION_PX = 0.5
_UNDISTORT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-7)


@dataclass(frozen=True)
class PixelGrid:
    """Which pixels of an image stand for those of a smaller or larger one, by nearest neighbour.

    `rows` and `columns` are whole numbers, [h] and [w].
    """

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def between(cls, image_size: tuple[int, int], size: tuple[int, int],
                stride: int = 1) -> PixelGrid:
        """Return the pixels of an image of `image_size` for every `stride`-th one of `size`.

        Sizes are (height, width). They are the pixels that `Segmenter.segment` samples.
        """
        return cls(*(((np.arange(0, new, stride) + 0.5) * old / new).astype(np.intp)
                     for old, new in zip(image_size, size)))

    def sample(self, pixels: np.ndarray) -> np.ndarray:
        """Return [h, w, ...] of an image [H, W, ...]; the image itself where nothing changes."""
        if pixels.shape[:2] == (len(self.rows), len(self.columns)):
            return pixels  # a grid of the image's own size has every pixel once
        return pixels[self.rows[:, None], self.columns]


def pixel_rays(grid: PixelGrid, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return x/z and y/z of the points that the pixels of `grid` show, float32 [2, h, w].

    `matrix` is K, [3, 3], and `distortion` the 0, 4, 5, 8, 12 or 14 coefficients of OpenCV's
    model (plumb_bob, rational). NaN where the distortion cannot be undone. Takes a moment: keep
    the result.
    """
    pixels = np.stack(np.broadcast_arrays(grid.columns, grid.rows[:, None]), axis=-1)
    pixels = pixels.astype(np.float64)
    rays = _undistorted(pixels, matrix, distortion) if np.any(distortion) else pixels
    rays = (rays - matrix[:2, 2]) / np.diag(matrix)[:2]
    return np.ascontiguousarray(rays.transpose(2, 0, 1), np.float32)


def _undistorted(pixels: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return where pixels [h, w, 2] would be without distortion; NaN where that is unknown."""
    points = pixels.reshape(-1, 1, 2)
    ideal = cv2.undistortImagePoints(points, matrix, distortion, None, _UNDISTORT)
    rays = cv2.convertPointsToHomogeneous((ideal - matrix[:2, 2]) / np.diag(matrix)[:2])
    back, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, distortion)
    ideal[~(np.abs(back - points).max(2) < MAX_REPROJECTION_PX)] = np.nan
    return ideal.reshape(pixels.shape)


def depth_in_metres(depth: np.ndarray) -> np.ndarray:
    """Return depth, whole millimetres or metres as floats, as float32 metres.

    What is no distance (zero, negative, infinite, NaN) becomes NaN.
    """
    unit = np.float32(1e-3 if depth.dtype.kind == 'u' else 1.0)
    metres = depth * unit
    metres[~((metres > 0) & (metres < np.inf))] = np.nan
    return metres


def labelled_points(depth: np.ndarray, rays: np.ndarray, image: np.ndarray, ids: np.ndarray,
                    confidence: np.ndarray, points: np.ndarray) -> None:
    """Fill `points`, an organised cloud: [h, w] of `POINT`, in metres in the optical frame.

    `depth` is float32 [h, w], the distance along the optical axis, NaN where there is none; `rays`
    as `pixel_rays` gives them; `image` uint8 RGB [h, w, 3]; `ids` and `confidence` uint8 [h, w].
    Points without depth have NaN as x, y and z; confidence becomes 0..1.
    """
    x, y = (cv2.multiply(depth, ray) for ray in rays)
    blank = np.isnan(x)  # a ray may be NaN too
    depth = np.where(blank, np.float32(np.nan), depth)
    blue_green_red = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGRA)
    rgb = blue_green_red.view('<u4')[..., 0] & np.uint32(0xffffff)
    planes = (x, y, depth, rgb.view('<f4'), ids.astype('<u4').view('<f4'),
              confidence * np.float32(1 / 255))
    cv2.merge(planes, points.view('<f4').reshape(*points.shape, len(planes)))
