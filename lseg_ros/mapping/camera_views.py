# SPDX-License-Identifier: Apache-2.0
"""Puts the vectors of an image together with its depth, lens and pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lseg_ros.core.cloud import PixelGrid, depth_in_metres, pixel_rays
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import Size
from lseg_ros.core.lens import Lens
from lseg_ros.mapping.observation import GridView

_KEPT_RAYS = 8  # calibrations whose rays are kept


@dataclass(frozen=True)
class EmbeddedImage:
    """Vectors, float16 [h, w, D], for the pixels of a grid over an image of `size`.

    `colors` are those of the same pixels, uint8 [h, w, 3].
    """

    vectors: Tensor
    colors: np.ndarray
    pixels: PixelGrid
    size: Size

    @classmethod
    def of(cls, embedding: ImageEmbedding, image: np.ndarray, stride: int) -> EmbeddedImage:
        """Return every `stride`-th row and column of the embedding of an image."""
        vectors, lines = embedding.thinned(stride)
        rows, columns, _ = vectors.shape
        size = image.shape[0], image.shape[1]
        pixels = PixelGrid.along(lines, (rows, columns), size)
        return cls(vectors.half().cpu(), pixels.sample(image), pixels, size)


class CameraViews:
    """Makes views; the rays of a lens are computed once."""

    def __init__(self) -> None:
        """Start without rays."""
        self._rays: dict[bytes, np.ndarray] = {}

    def view(self, image: EmbeddedImage, depth: np.ndarray, lens: Lens, pose: np.ndarray, stamp_s: float) -> GridView:
        """Return the view of an image, for `observe`.

        `depth` is uint16 in millimetres or float32 in metres, and `pose` the transform [4, 4] from
        the optical frame to the map. Raise ValueError if depth and image differ in size.
        """
        if depth.shape != image.size:
            raise ValueError(
                f'depth has {depth.shape[1]} x {depth.shape[0]} pixels, '
                f'but the image has {image.size[1]} x {image.size[0]}'
            )
        metres = depth_in_metres(image.pixels.sample(depth))
        return GridView(image.vectors, image.colors, metres, self._rays_of(lens, image.pixels), pose, stamp_s)

    def _rays_of(self, lens: Lens, pixels: PixelGrid) -> np.ndarray:
        parts = (lens.matrix, lens.distortion, pixels.rows, pixels.columns)
        key = b''.join(part.tobytes() for part in parts) + bytes([lens.is_fisheye])
        if key not in self._rays:
            kept = [*self._rays.items()][1 - _KEPT_RAYS :]
            self._rays = {**dict(kept), key: pixel_rays(pixels, *lens)}
        return self._rays[key]
