# SPDX-License-Identifier: Apache-2.0
"""Windows that cover an image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A part of an image at one scale, by its edges in pixels."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, maps: Tensor) -> Tensor:
        """Return the view of `maps` [..., H, W] within the window."""
        return maps[..., self.top : self.bottom, self.left : self.right]


def sliding_windows(height: int, width: int, crop: int, stride: int) -> list[Window]:
    """Return windows of `crop` x `crop` pixels, `stride` apart, row by row.

    The last one of a row or column is moved back to end at the image's edge, and the only one of a
    side shorter than `crop` is that side.
    """
    rows, columns = (_spans(side, crop, stride) for side in (height, width))
    return [Window(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def _spans(side: int, crop: int, stride: int) -> list[tuple[int, int]]:
    """Return the first pixel of each window along a side, and the one after its last."""
    count = max(side - crop + stride - 1, 0) // stride + 1
    ends = [min(index * stride + crop, side) for index in range(count)]
    return [(max(end - crop, 0), end) for end in ends]
