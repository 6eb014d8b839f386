# SPDX-License-Identifier: Apache-2.0
"""The embedding of an image, on the network's grid or for each pixel, band by band."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.core.geometry import ImageGeometry, Line

# Between these lengths lies every unit vector that was rounded to float16.
SHORTEST_UNIT, LONGEST_UNIT = 0.95, 1.05
_BAND_VALUES = 16 * 2**20  # of float32: 64 MiB
# The share of values clipped at either end in the colours of a preview.
_CLIPPED = 0.01


@dataclass(frozen=True)
class ImageEmbedding:
    """Unit vectors of D dimensions for the cells of a grid over an image.

    Their inner product with a row of text is the cosine that labels are chosen by: a row of
    `LSeg.encode_text` for a result of `Segmenter.embed`, of `Segmenter.encode_prompts` for one of
    `Segmenter.segment`. `grid` is float32 [D, h, w] and covers the padded image that the network
    was given. `id` names what the vectors are comparable with, see `Segmenter.embedding_id`.
    """

    grid: Tensor
    geometry: ImageGeometry
    align_corners: bool  # whether the outer cells lie on the border of the padded image
    id: str = ''

    @property
    def cells(self) -> Tensor:
        """float32 [h, w, D]: the grid without the cells that cover only padding."""
        height, width = map(math.ceil, self.geometry.covered(self.grid.shape[1:]))
        return self.grid[:, :height, :width].permute(1, 2, 0)

    @property
    def pixels_per_cell(self) -> tuple[float, float]:
        """Height and width of a cell in pixels of the image."""
        covered = self.geometry.covered(self.grid.shape[1:])
        height, width = (side / cells for side, cells in zip(self.geometry.image, covered))
        return height, width

    @property
    def lattice(self) -> tuple[Line, Line]:
        """Where the centres of the cells lie in the image, down and across."""
        down, across = map(self._line, (0, 1))
        return down, across

    def thinned(self, stride: int) -> tuple[Tensor, tuple[Line, Line]]:
        """Return every `stride`-th cell down and across, float32 [h, w, D], and their lattice."""
        cells = self.cells
        starts = [min(stride, count) // 2 for count in cells.shape[:2]]
        lines = [Line(line.first + start * line.step, stride * line.step) for start, line in zip(starts, self.lattice)]
        return cells[starts[0] :: stride, starts[1] :: stride], (lines[0], lines[1])

    def rows(self, first: int, last: int, step: int = 1) -> Tensor:
        """Return unit vectors, float32 [h, W, D], for rows first, first + step, ... below `last`.

        They are interpolated between cells like the logits, then normalised.
        """
        y, x = (self._positions(axis) for axis in (0, 1))
        band = _interpolate(_interpolate(self.grid, y[first:last:step], 1), x, 2)
        return F.normalize(band, dim=0).permute(1, 2, 0)

    def bands(self) -> Iterator[tuple[int, Tensor]]:
        """Yield (first row, rows) of the whole image, in bands of at most 64 MiB."""
        height, width = self.geometry.image
        count = max(1, _BAND_VALUES // (width * self.grid.shape[0]))
        for first in range(0, height, count):
            yield first, self.rows(first, min(first + count, height))

    def preview(self) -> np.ndarray:
        """Return uint8 [H, W, 3]: the three principal components as red, green and blue.

        Similar colours mean similar embeddings, but only within one image.
        """
        cells = self.cells
        values = cells.reshape(-1, cells.shape[2]).double()
        values = values - values.mean(0)
        _, axes = torch.linalg.eigh(values.T @ values)  # ascending
        axes = axes[:, -3:].flip(1)
        axes = axes * torch.where(axes.sum(0) < 0, -1, 1)  # an eigenvector's sign is arbitrary
        colors = (values @ axes).float()
        low, high = (colors.quantile(share, dim=0) for share in (_CLIPPED, 1 - _CLIPPED))
        colors = ((colors - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
        picture = colors.reshape(*cells.shape[:2], 3).permute(2, 0, 1)[None]
        picture = F.interpolate(picture, self.geometry.image, mode='bilinear')
        return (255 * picture[0]).round().byte().permute(1, 2, 0).cpu().numpy()

    def cell_of_pixel(self, axis: int) -> tuple[float, float]:
        """Return scale and offset: cell = scale * pixel + offset, for rows (axis 0) or columns (1).

        Both are counted from the centre of the first: pixel 0 is the centre of the first pixel.
        """
        image, resized, padded = (
            size[axis] for size in (self.geometry.image, self.geometry.resized, self.geometry.padded)
        )
        cells = self.grid.shape[1 + axis]
        pixel = resized / image  # in pixels of the resized image
        if self.align_corners:
            cell = (cells - 1) / max(padded - 1, 1)
            return pixel * cell, (0.5 * pixel - 0.5) * cell
        scale = pixel * cells / padded
        return scale, 0.5 * scale - 0.5

    def _line(self, axis: int) -> Line:
        scale, offset = self.cell_of_pixel(axis)
        if not scale:  # a single cell between two borders
            return Line((self.geometry.image[axis] - 1) / 2, self.geometry.image[axis])
        return Line(-offset / scale, 1 / scale)

    def _positions(self, axis: int) -> Tensor:
        """Return the grid position of each row or column of the image."""
        scale, offset = self.cell_of_pixel(axis)
        pixels = torch.arange(self.geometry.image[axis], dtype=torch.float64, device=self.grid.device)
        return (scale * pixels + offset).clamp(0, self.grid.shape[1 + axis] - 1)


def _interpolate(values: Tensor, positions: Tensor, dim: int) -> Tensor:
    """Interpolate linearly along one dimension."""
    below = positions.long()
    above = (below + 1).clamp_max(values.shape[dim] - 1)
    shape = [1] * values.ndim
    shape[dim] = -1
    weight = (positions - below).to(values.dtype).reshape(shape)
    return torch.lerp(values.index_select(dim, below), values.index_select(dim, above), weight)
