# SPDX-License-Identifier: Apache-2.0
"""Smooth class scores over time, so that uncertain pixels do not flicker.

Each score is an exponential moving average over the frames. For a moving camera, the average of
earlier frames is first moved along with the image by dense optical flow (DIS: Kroeger et al., Fast
Optical Flow using Dense Inverse Search, ECCV 2016), and dropped where the moved image does not
match the new one: at newly visible parts, and where the flow is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

WARPS = ('none', 'flow')
# Frames further apart than this, in seconds, or whose stamps run backwards, are not averaged.
LONGEST_GAP_S = 1.0
_FLOW_SIDE = 212  # longer side, in pixels, of the images between which flow is computed
# The shorter side, four of OpenCV's patches: below that it takes the scales from the width alone,
# and reads beyond the ends of an image that is wide and low.
_LEAST_FLOW_SIDE = 32
_TOLERANCE = 14.0  # grey levels by which the moved image may differ from the new one
_PATCH = 5  # side, in pixels, over which that difference is averaged, against noise


@dataclass(frozen=True)
class _Moment:
    """What is kept of a frame: its smoothed scores [C, h, w] and its image, small and grey."""

    scores: Tensor
    grey: np.ndarray | None
    image_size: tuple[int, int]


class ScoreSmoother:
    """Smooths the scores of one camera, frame by frame, in one thread.

    Call `begin` before each frame, pass the smoother to `Segmenter.segment` as the camera's
    filter, and call `reset` when the labels change. A new image size resets it automatically.
    """

    def __init__(self, smoothing: float, warp: str = 'none') -> None:
        """Keep the share `smoothing` of the average at each frame: 0 to less than 1; 0 is off.

        `warp` 'flow' moves the average along with the image; 'none' leaves it in place, for a
        fixed camera. Raise ValueError for other values.
        """
        if not 0.0 <= smoothing < 1.0:
            raise ValueError(f'smoothing must be 0 or more and less than 1, not {smoothing}')
        if warp not in WARPS:
            raise ValueError(f'warp must be one of {", ".join(WARPS)}, not {warp!r}')
        self.smoothing = smoothing
        self.warp = warp
        self._last: _Moment | None = None
        self._present: _Moment | None = None
        self._stamp_s: float | None = None

    def reset(self) -> None:
        """Forget all earlier frames."""
        self._last = self._present = None

    def begin(self, stamp_s: float) -> None:
        """Start the frame with this stamp; a jump in time resets the smoother."""
        if self._present is not None:  # otherwise the last frame failed
            self._last, self._present = self._present, None
        if self._stamp_s is not None and not 0.0 <= stamp_s - self._stamp_s <= LONGEST_GAP_S:
            self.reset()
        self._stamp_s = stamp_s

    def __call__(self, image: np.ndarray, scores: Tensor, covered: tuple[float, float]) -> Tensor:
        """Return the smoothed scores [C, h, w] of the current frame, and remember them.

        Passing a frame again, after a failure further on, does not count it twice. `image` is
        uint8 [H, W, 3] RGB; it covers the first `covered` rows and columns of the grid.
        """
        if not self.smoothing:
            self.reset()  # or switching it on later would average with old frames
            return scores
        grey = _small_grey(image) if self.warp == 'flow' else None
        last = self._last
        if last is not None and last.scores.shape == scores.shape and last.image_size == image.shape[:2]:
            scores = self._blend(last, scores, grey, covered)
        self._present = _Moment(scores, grey, image.shape[:2])
        return scores

    def _blend(self, last: _Moment, scores: Tensor, grey: np.ndarray | None, covered: tuple[float, float]) -> Tensor:
        if grey is None or last.grey is None:
            return torch.lerp(scores, last.scores, self.smoothing)
        source, likeness = _trace_back(last.grey, grey)
        to_grid = _grid_positions(scores.shape[1:], covered, grey.shape)
        source, likeness = (
            cv2.remap(part, *to_grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in (source, likeness)
        )
        history = _sample(last.scores, source, covered)
        trust = torch.from_numpy(likeness * self.smoothing).to(scores.device, scores.dtype)
        return torch.lerp(scores, history, trust)


def _small_grey(image: np.ndarray) -> np.ndarray:
    """Return an image in grey and small, uint8 [h, w], for computing flow."""
    height, width = image.shape[:2]
    scale = min(1.0, _FLOW_SIDE / max(height, width))
    size = tuple(max(_LEAST_FLOW_SIDE, round(scale * side)) for side in (width, height))
    return cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def _trace_back(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel of `now` was in `before`, and how certain that is.

    Positions are float32 [h, w, 2], (x, y) as shares of the width and height, 0 to 1 from edge to
    edge; certainties are float32 [h, w], 0..1.
    """
    height, width = now.shape
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = dis.calc(now, before, None)  # type: ignore[call-overload]  # None: no initial flow
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    moved = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.blur(cv2.absdiff(moved, now).astype(np.float32), (_PATCH, _PATCH))
    likeness = np.exp(-((difference / _TOLERANCE) ** 2))
    likeness[(x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)] = 0.0
    return np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=2), likeness


def _grid_positions(
    grid: Sequence[int], covered: tuple[float, float], size: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y, float32 [h, w], of each cell's centre in pixels of a small image."""
    rows, columns = (
        (np.arange(cells, dtype=np.float32) + 0.5) / extent * side - 0.5
        for cells, extent, side in zip(grid, covered, size)
    )
    x, y = (np.broadcast_to(part, tuple(grid)).copy() for part in (columns, rows[:, None]))
    return x, y


def _sample(scores: Tensor, source: np.ndarray, covered: tuple[float, float]) -> Tensor:
    """Return scores [C, h, w] sampled at `source`, float32 [h, w, 2], as from `_trace_back`.

    Cells are interpolated by a Catmull-Rom spline: linear interpolation, repeated at every frame,
    would blur and shift borders.
    """
    classes, rows, columns = scores.shape
    places = torch.from_numpy(source.reshape(-1, 2)).to(scores.device)
    x, x_shares = _neighbours(places[:, 0] * covered[1], columns)
    y, y_shares = _neighbours(places[:, 1] * covered[0], rows)
    cells = (y[:, :, None] * columns + x[:, None]).flatten(1)
    shares = (y_shares[:, :, None] * x_shares[:, None]).flatten(1)
    # All classes of a cell are contiguous, so that each neighbour costs one memory access.
    sums = F.embedding_bag(cells, scores.reshape(classes, -1).t().contiguous(), mode='sum', per_sample_weights=shares)
    return sums.t().reshape(classes, *source.shape[:2])


def _neighbours(places: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Return the four cells around each of N places on an axis and their weights, both [N, 4].

    Places are in cells from the edge, beyond which the outermost cell is repeated.
    """
    centres = (places - 0.5).clamp(0, cells - 1)
    first = centres.floor()
    t = centres - first
    shares = (
        torch.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], dim=1) / 2
    )
    offsets = torch.arange(-1, 3, device=places.device)
    return (first.long()[:, None] + offsets).clamp(0, cells - 1), shares
