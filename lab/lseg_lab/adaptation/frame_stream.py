# SPDX-License-Identifier: Apache-2.0
"""Augmented frames with the teacher's embeddings, as an endless stream of training samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.adaptation.frame_store import Frame, FrameStore
from lseg_lab.training import augment
from lseg_lab.training.dataset import Sample, SampleStream

ZOOM = (0.6, 1.5)  # range of the random zoom
CELL = 4  # pixels that a cell of the student's grid spans in each direction
# Cells of the student's grid are redundant: every second one in each direction is enough.
STEP = 2


@dataclass(frozen=True)
class FrameSample:
    """An augmented frame and the teacher's embeddings of what is in it.

    Attributes:
        image: uint8 [H, W, 3].
        first: row and column of the first cell of the student's grid that has a target; from
            there, every STEP-th cell has one.
        targets: float32 [h, w, D], not normalised.
        inside: bool [h, w], whether the cell shows the frame rather than its surroundings.
    """

    image: np.ndarray
    first: tuple[int, int]
    targets: Tensor
    inside: np.ndarray


class FrameStream:
    """Numbered samples: sample n depends only on the seed and n.

    A `share` of them comes from `labelled`, evenly spread, if there is such a stream.
    """

    def __init__(
        self,
        store: FrameStore,
        frames: Sequence[Frame],
        *,
        crop: tuple[int, int],
        short_side: int,
        seed: int = 0,
        labelled: SampleStream | None = None,
        share: float = 0.0,
    ) -> None:
        """Prepare the stream.

        Args:
            store: holds the frames and embeddings.
            frames: those to draw from.
            crop: height and width of the samples.
            short_side: of a frame at a zoom of 1, in pixels: that at which the student will see it.
            seed: of all random numbers.
            labelled: stream of labelled samples to mix in.
            share: of the labelled samples, below 1.
        """
        self.store, self.frames, self.seed = store, frames, seed
        self.crop, self.short_side = crop, short_side
        self.labelled, self.share = labelled, share

    def __getitem__(self, number: int) -> FrameSample | Sample:
        """Return sample `number`, counted from 0 without end."""
        labelled = int(number * self.share)
        if self.labelled is not None and int((number + 1) * self.share) > labelled:
            return self.labelled[labelled]
        rng = np.random.default_rng((self.seed, number))
        frame = self.frames[int(rng.integers(len(self.frames)))]
        image = self.store.image(frame)
        scale = self.short_side / min(image.shape[:2])
        matrix = augment.crop_matrix(image.shape[:2], self.crop, (ZOOM[0] * scale, ZOOM[1] * scale), rng)
        height, width = self.crop
        mode, value = augment.BORDERS[rng.integers(len(augment.BORDERS))]
        warped = cv2.warpPerspective(image, matrix, (width, height), borderMode=mode, borderValue=value)
        first = int(rng.integers(STEP)), int(rng.integers(STEP))
        targets, inside = self._targets(frame, image.shape[:2], np.linalg.inv(matrix), first)
        return FrameSample(augment.photometric(warped, rng), first, targets, inside)

    def _targets(
        self, frame: Frame, size: tuple[int, int], to_frame: np.ndarray, first: tuple[int, int]
    ) -> tuple[Tensor, np.ndarray]:
        """Return targets and inside of a FrameSample; `to_frame` maps its pixels to the frame's."""
        rows, columns = (
            (np.arange(start, side // CELL, STEP) + 0.5) * CELL - 0.5 for start, side in zip(first, self.crop)
        )
        centres = np.stack(np.meshgrid(columns, rows), axis=-1)
        pixels = cv2.perspectiveTransform(centres, to_frame)  # x, y
        inside = np.all((pixels > -0.5) & (pixels < np.array(size[::-1]) - 0.5), axis=-1)
        embedding = self.store.embedding(frame, size)
        places = []
        for axis, values in ((1, pixels[..., 0]), (0, pixels[..., 1])):
            scale, offset = embedding.cell_of_pixel(axis)
            last = max(embedding.grid.shape[1 + axis] - 1, 1)
            places.append(2 * (scale * values + offset) / last - 1)  # as grid_sample wants them
        grid = torch.from_numpy(np.stack(places, axis=-1)).float()[None]
        targets = F.grid_sample(embedding.grid[None], grid, padding_mode='border', align_corners=True)
        return targets[0].permute(1, 2, 0), inside
