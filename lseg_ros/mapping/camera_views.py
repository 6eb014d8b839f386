# SPDX-License-Identifier: Apache-2.0
"""Puts the vectors of an image together with its depth, lens and pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lseg_ros.core.cloud import PixelGrid, RayCache, check_aligned, depth_in_metres
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import Size
from lseg_ros.core.lens import Lens
from lseg_ros.mapping.observation import GridView


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
        self._rays = RayCache()

    def view(self, image: EmbeddedImage, depth: np.ndarray, lens: Lens, pose: np.ndarray, stamp_s: float) -> GridView:
        """Return the view of an image, for `observe`.

        `depth` is uint16 in millimetres or float32 in metres, and `pose` the transform [4, 4] from
        the optical frame to the map. Raise ValueError if depth and image differ in size.
        """
        check_aligned(depth, image.size)
        metres = depth_in_metres(image.pixels.sample(depth))
        return GridView(image.vectors, image.colors, metres, self._rays.of(lens, image.pixels), pose, stamp_s)
