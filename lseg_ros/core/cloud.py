# SPDX-License-Identifier: Apache-2.0
"""Organised clouds of labelled points, one point per pixel, from depth and class ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.polynomial import chebyshev

from lseg_ros.core.fisheye import fisheye_rays
from lseg_ros.core.geometry import Line, Size, nearest
from lseg_ros.core.lens import Lens

# A point in memory. rgb is an integer 0x00RRGGBB stored in the bytes of a float, by the
# convention of the Point Cloud Library.
POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<f4'), ('label', '<u4'), ('confidence', '<f4')])
POINT_COLORS = ('class', 'image')  # where the colour of a point comes from
# Rays that distort back to a point further than this from their pixel are invalid.
MAX_REPROJECTION_PX = 0.5
# The greatest error, in pixels, allowed for interpolated rays.
MAX_INTERPOLATION_PX = 0.01
_NODES = 24  # exact rays along each side of the image, for interpolating the others
_PROBES = 48  # interpolated rays checked along each side
_KEPT_RAYS = 8  # calibrations and grids whose rays a cache keeps
_UNDISTORT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-7)


@dataclass(frozen=True)
class PixelGrid:
    """The pixels of an image nearest to those of a smaller or larger one.

    `rows` [h] and `columns` [w] are integers.
    """

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def between(cls, image_size: tuple[int, int], size: tuple[int, int], stride: int = 1) -> PixelGrid:
        """Return the pixels of an image of `image_size` nearest to every `stride`-th of `size`.

        Sizes are (height, width). `Segmenter.segment` samples the same pixels.
        """
        return cls(*(nearest(old, new, stride) for old, new in zip(image_size, size)))

    @classmethod
    def along(cls, lines: Sequence[Line], counts: tuple[int, int], image_size: tuple[int, int]) -> PixelGrid:
        """Return the pixels nearest to places along `lines`, down and across an image.

        A line has its first place and the step to the next, in pixels; `counts` are the places on
        each. `image_size` is (height, width).
        """
        return cls(
            *(
                np.clip(np.rint(line.first + line.step * np.arange(count)), 0, side - 1).astype(np.intp)
                for line, count, side in zip(lines, counts, image_size)
            )
        )

    def sample(self, pixels: np.ndarray) -> np.ndarray:
        """Return [h, w, ...] of an image [H, W, ...]; the image itself if the sizes agree."""
        if pixels.shape[:2] == (len(self.rows), len(self.columns)):
            return pixels
        sampled: np.ndarray = pixels[self.rows[:, None], self.columns]
        return sampled


def pixel_rays(grid: PixelGrid, matrix: np.ndarray, distortion: np.ndarray, is_fisheye: bool = False) -> np.ndarray:
    """Return x/z and y/z of the points seen by the pixels of `grid`, float32 [2, h, w].

    `matrix` is K, [3, 3], and `distortion` the 0, 4, 5, 8, 12 or 14 coefficients of OpenCV's
    model (plumb_bob, rational) or the four of a fisheye. Rays are NaN where the distortion cannot
    be undone. Cache the result: strong distortion is undone pixel by pixel, which is slow.
    """
    pixels = _pixels(grid.rows, grid.columns)
    if is_fisheye:
        rays = fisheye_rays(pixels, matrix, distortion)
    else:
        if np.any(distortion):
            ideal = _interpolated(grid, matrix, distortion)
            pixels = _undistorted(pixels, matrix, distortion) if ideal is None else ideal
        rays = (pixels - matrix[:2, 2]) / np.diag(matrix)[:2]
    return np.ascontiguousarray(rays.transpose(2, 0, 1), np.float32)


class RayCache:
    """Computes the rays of a lens and a grid once. Not thread-safe."""

    def __init__(self) -> None:
        """Start without rays."""
        self._rays: dict[bytes, np.ndarray] = {}

    def of(self, lens: Lens, grid: PixelGrid) -> np.ndarray:
        """Return what `pixel_rays` does; do not change it."""
        parts = (lens.matrix, lens.distortion, grid.rows, grid.columns)
        key = b'|'.join(part.tobytes() for part in parts) + bytes([lens.is_fisheye])
        if key not in self._rays:
            kept = [*self._rays.items()][1 - _KEPT_RAYS :]
            self._rays = {**dict(kept), key: pixel_rays(grid, *lens)}
        return self._rays[key]


def _interpolated(grid: PixelGrid, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray | None:
    """Return the undistorted pixels of a grid, [h, w, 2], by polynomial interpolation.

    Lenses are smooth, so a polynomial through a few pixels, at Chebyshev nodes, fits the others.
    Return None for a small grid, or if the result does not distort back to the pixels.
    """
    if min(len(grid.rows), len(grid.columns)) < 2 * _NODES:
        return None
    (rows, by_row), (columns, by_column) = map(_chebyshev, (grid.rows, grid.columns))
    nodes = _undistorted(_pixels(rows, columns), matrix, distortion)
    ideal = np.stack([by_row @ part @ by_column.T for part in np.moveaxis(nodes, 2, 0)], axis=2)
    probes = tuple(slice(None, None, max(1, len(places) // _PROBES)) for places in (grid.rows, grid.columns))
    pixels = _pixels(grid.rows[probes[0]], grid.columns[probes[1]])
    error = np.abs(_distorted(ideal[probes], matrix, distortion) - pixels).max()
    return ideal if error < MAX_INTERPOLATION_PX else None  # None for an error of NaN, too


def _pixels(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return x and y of every pixel of a grid, float64 [h, w, 2]."""
    return np.stack(np.broadcast_arrays(columns, rows[:, None]), axis=-1).astype(np.float64)


def _chebyshev(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Chebyshev nodes for n places, [_NODES], and an interpolation matrix.

    The matrix, [n, _NODES], maps values at the nodes to values at the places.
    """
    middle, reach = (places.max() + places.min()) / 2, np.ptp(places) / 2
    nodes = chebyshev.chebpts1(_NODES)
    at_places, at_nodes = (chebyshev.chebvander(at, _NODES - 1) for at in ((places - middle) / reach, nodes))
    return middle + reach * nodes, at_places @ np.linalg.inv(at_nodes)


def _undistorted(pixels: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return undistorted pixels [h, w, 2], NaN where the distortion cannot be undone."""
    ideal = cv2.undistortImagePoints(pixels.reshape(-1, 1, 2), matrix, distortion, None, _UNDISTORT).reshape(
        pixels.shape
    )
    error = np.abs(_distorted(ideal, matrix, distortion) - pixels).max(2)
    ideal[~(error < MAX_REPROJECTION_PX)] = np.nan
    return ideal


def _distorted(ideal: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return undistorted pixels [h, w, 2] as the lens distorts them."""
    rays = (ideal.reshape(-1, 1, 2) - matrix[:2, 2]) / np.diag(matrix)[:2]
    pixels, _ = cv2.projectPoints(cv2.convertPointsToHomogeneous(rays), np.zeros(3), np.zeros(3), matrix, distortion)
    return pixels.reshape(ideal.shape)


def check_aligned(depth: np.ndarray, image_size: Size) -> None:
    """Raise ValueError unless depth has the size of its image."""
    if depth.shape != image_size:
        (rows, columns), (height, width) = depth.shape, image_size
        raise ValueError(
            f'depth has {columns} x {rows} pixels, but the image has {width} x {height}: '
            'depth must be aligned to the image'
        )


def depth_in_metres(depth: np.ndarray) -> np.ndarray:
    """Return depth in integer millimetres or float metres as float32 metres.

    Values that are not a distance (zero, negative, infinite, NaN) become NaN.
    """
    unit = np.float32(1e-3 if depth.dtype.kind == 'u' else 1.0)
    metres = depth * unit
    metres[~((metres > 0) & (metres < np.inf))] = np.nan
    return metres


def labelled_points(
    depth: np.ndarray, rays: np.ndarray, colors: np.ndarray, ids: np.ndarray, confidence: np.ndarray, points: np.ndarray
) -> None:
    """Fill `points`, an organised cloud: [h, w] of `POINT`, in metres in the optical frame.

    `depth` is float32 [h, w], the distance along the optical axis, NaN where unknown; `rays` comes
    from `pixel_rays`; `colors` is uint8 RGB [h, w, 3]; `ids` and `confidence` are uint8 [h, w].
    Points without depth have NaN as x, y and z; confidence is scaled to 0..1.
    """
    x, y = (cv2.multiply(depth, ray) for ray in rays)
    blank = np.isnan(x)  # a ray may be NaN too
    depth = np.where(blank, np.float32(np.nan), depth)
    blue_green_red = cv2.cvtColor(np.ascontiguousarray(colors), cv2.COLOR_RGB2BGRA)
    rgb = blue_green_red.view('<u4')[..., 0] & np.uint32(0xFFFFFF)
    planes = (x, y, depth, rgb.view('<f4'), ids.astype('<u4').view('<f4'), confidence * np.float32(1 / 255))
    cv2.merge(planes, points.view('<f4').reshape(*points.shape, len(planes)))
