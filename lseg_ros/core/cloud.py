# SPDX-License-Identifier: Apache-2.0
"""Depth and class ids to labelled points: an organised cloud, one point for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.polynomial import chebyshev

from lseg_ros.core.geometry import nearest

# A point as it lies in memory. rgb holds the bytes 0, R, G, B of a whole number, from the highest
# to the lowest, in the place of a float, as the Point Cloud Library has it.
POINT = np.dtype(
    [
        ('x', '<f4'),
        ('y', '<f4'),
        ('z', '<f4'),
        ('rgb', '<f4'),
        ('label', '<u4'),
        ('confidence', '<f4'),
    ]
)
# A ray that its distortion does not bring back this close to its pixel has no meaning.
MAX_REPROJECTION_PX = 0.5
# So far may a ray be from its pixel where rays are interpolated between a few that are exact.
MAX_INTERPOLATION_PX = 0.01
_NODES = 24  # exact rays along each side of the image, between which the others are interpolated
_PROBES = 48  # rays along each side at which that is checked
_UNDISTORT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-7)


@dataclass(frozen=True)
class PixelGrid:
    """Which pixels of an image stand for those of a smaller or larger one, by nearest neighbour.

    `rows` and `columns` are whole numbers, [h] and [w].
    """

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def between(
        cls, image_size: tuple[int, int], size: tuple[int, int], stride: int = 1
    ) -> PixelGrid:
        """Return the pixels of an image of `image_size` for every `stride`-th one of `size`.

        Sizes are (height, width). They are the pixels that `Segmenter.segment` samples.
        """
        return cls(*(nearest(old, new, stride) for old, new in zip(image_size, size)))

    def sample(self, pixels: np.ndarray) -> np.ndarray:
        """Return [h, w, ...] of an image [H, W, ...]; the image itself where nothing changes."""
        if pixels.shape[:2] == (len(self.rows), len(self.columns)):
            return pixels  # a grid of the image's own size has every pixel once
        return pixels[self.rows[:, None], self.columns]


def pixel_rays(grid: PixelGrid, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return x/z and y/z of the points that the pixels of `grid` show, float32 [2, h, w].

    `matrix` is K, [3, 3], and `distortion` the 0, 4, 5, 8, 12 or 14 coefficients of OpenCV's
    model (plumb_bob, rational). NaN where the distortion cannot be undone. Keep the result: under
    a distortion too wild to be interpolated each pixel is undistorted by itself, which takes a
    moment.
    """
    pixels = _pixels(grid.rows, grid.columns)
    if np.any(distortion):
        ideal = _interpolated(grid, matrix, distortion)
        pixels = _undistorted(pixels, matrix, distortion) if ideal is None else ideal
    rays = (pixels - matrix[:2, 2]) / np.diag(matrix)[:2]
    return np.ascontiguousarray(rays.transpose(2, 0, 1), np.float32)


def _interpolated(grid: PixelGrid, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray | None:
    """Return where the pixels of a grid would be without distortion, [h, w, 2].

    A lens is smooth: a polynomial through a few pixels, in Chebyshev's places, serves all. None
    for a small grid, and where the lens does not bring the result back to its pixels.
    """
    if min(len(grid.rows), len(grid.columns)) < 2 * _NODES:
        return None
    (rows, by_row), (columns, by_column) = map(_chebyshev, (grid.rows, grid.columns))
    nodes = _undistorted(_pixels(rows, columns), matrix, distortion)
    ideal = np.stack([by_row @ part @ by_column.T for part in np.moveaxis(nodes, 2, 0)], axis=2)
    probes = tuple(
        slice(None, None, max(1, len(places) // _PROBES)) for places in (grid.rows, grid.columns)
    )
    pixels = _pixels(grid.rows[probes[0]], grid.columns[probes[1]])
    error = np.abs(_distorted(ideal[probes], matrix, distortion) - pixels).max()
    return ideal if error < MAX_INTERPOLATION_PX else None  # an error of NaN is not small


def _pixels(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return x and y of every pixel of a grid, float64 [h, w, 2]."""
    return np.stack(np.broadcast_arrays(columns, rows[:, None]), axis=-1).astype(np.float64)


def _chebyshev(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Chebyshev's nodes between the least and greatest of n places, [_NODES].

    With them comes the matrix [n, _NODES] that takes values at the nodes to values at the places.
    """
    middle, reach = (places.max() + places.min()) / 2, np.ptp(places) / 2
    nodes = chebyshev.chebpts1(_NODES)
    at_places, at_nodes = (
        chebyshev.chebvander(at, _NODES - 1) for at in ((places - middle) / reach, nodes)
    )
    return middle + reach * nodes, at_places @ np.linalg.inv(at_nodes)


def _undistorted(pixels: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return where pixels [h, w, 2] would be without distortion; NaN where that is unknown."""
    ideal = cv2.undistortImagePoints(
        pixels.reshape(-1, 1, 2), matrix, distortion, None, _UNDISTORT
    ).reshape(pixels.shape)
    error = np.abs(_distorted(ideal, matrix, distortion) - pixels).max(2)
    ideal[~(error < MAX_REPROJECTION_PX)] = np.nan
    return ideal


def _distorted(ideal: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return the pixels [h, w, 2] at which the lens shows what it should show at `ideal`."""
    rays = (ideal.reshape(-1, 1, 2) - matrix[:2, 2]) / np.diag(matrix)[:2]
    pixels, _ = cv2.projectPoints(
        cv2.convertPointsToHomogeneous(rays), np.zeros(3), np.zeros(3), matrix, distortion
    )
    return pixels.reshape(ideal.shape)


def depth_in_metres(depth: np.ndarray) -> np.ndarray:
    """Return depth, whole millimetres or metres as floats, as float32 metres.

    What is no distance (zero, negative, infinite, NaN) becomes NaN.
    """
    unit = np.float32(1e-3 if depth.dtype.kind == 'u' else 1.0)
    metres = depth * unit
    metres[~((metres > 0) & (metres < np.inf))] = np.nan
    return metres


def labelled_points(
    depth: np.ndarray,
    rays: np.ndarray,
    image: np.ndarray,
    ids: np.ndarray,
    confidence: np.ndarray,
    points: np.ndarray,
) -> None:
    """Fill `points`, an organised cloud: [h, w] of `POINT`, in metres in the optical frame.

    `depth` is float32 [h, w], the distance along the optical axis, NaN where there is none; `rays`
    as `pixel_rays` gives them; `image` uint8 RGB [h, w, 3]; `ids` and `confidence` uint8 [h, w].
    Points without depth have NaN as x, y and z; confidence becomes 0..1.
    """
    x, y = (cv2.multiply(depth, ray) for ray in rays)
    blank = np.isnan(x)  # a ray may be NaN too
    depth = np.where(blank, np.float32(np.nan), depth)
    blue_green_red = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGRA)
    rgb = blue_green_red.view('<u4')[..., 0] & np.uint32(0xFFFFFF)
    planes = (
        x,
        y,
        depth,
        rgb.view('<f4'),
        ids.astype('<u4').view('<f4'),
        confidence * np.float32(1 / 255),
    )
    cv2.merge(planes, points.view('<f4').reshape(*points.shape, len(planes)))
