# SPDX-License-Identifier: Apache-2.0
"""Segmentation by one pass through the network: what a robot runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.backends import Backend, EagerBackend
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import ImageGeometry, Size
from lseg_ros.core.segmenter import LogitsBatch, Segmenter, check_image
from lseg_ros.model.lseg import LSeg


class SinglePassSegmenter(Segmenter):
    """Runs each image through the network once.

    An image is reduced, keeping its aspect, until its short side is `input_size` and its long
    side at most four times that, then padded at the right and bottom with the mean colour to
    multiples of the network's stride. Small images are never enlarged. Images that have the same
    size once resized form one batch.
    """

    def __init__(self, model: LSeg, *, backend: Backend | None = None, input_size: int | None = None) -> None:
        """Use `model`, on its device and in its dtype.

        `backend` runs the network (see `lseg_ros.backends.open_backend`); by default the network
        runs as written, which is slower but starts at once. `input_size` is in pixels: by default
        the model's own; 0 keeps each image's size. Raise ValueError if it is negative.
        """
        super().__init__(model, backend or EagerBackend(model))
        self._input_size = model.input_size if input_size is None else input_size
        if self._input_size < 0:
            raise ValueError(f'input_size must be 0 or more pixels, not {self._input_size}')
        self._running = threading.Lock()  # a backend may reuse the memory of its result

    def embed(self, image: np.ndarray) -> ImageEmbedding:
        """See Segmenter; every backend can do it."""
        check_image(image, 0)
        geometry = self._plan(image.shape[:2])
        with torch.inference_mode(), self._running:
            grid = self._backend.embed(self._resize(image, geometry)[None])[0].clone()
        return ImageEmbedding(grid, geometry, self.model.config.align_corners)

    def network_size(self, size: Size) -> Size:
        """See Segmenter."""
        return self._plan(size).resized

    def _logits(
        self, images: Sequence[np.ndarray], sizes: Sequence[Size], text: Tensor, embed: bool = False
    ) -> Iterator[LogitsBatch]:
        geometries = [self._plan(size) for size in sizes]
        for size in dict.fromkeys(geometry.resized for geometry in geometries):
            batch = [i for i, geometry in enumerate(geometries) if geometry.resized == size]
            pixels = torch.stack([self._resize(images[i], geometries[i]) for i in batch])
            embeddings = None
            with self._running:
                if embed:
                    embeddings = self._backend.encode(pixels).clone()
                    logits = self.model.correlate(embeddings, text)
                else:
                    logits = self._backend.correlate(pixels, text)
                logits = logits.float() / self.model.calibration
            yield LogitsBatch(batch, [geometries[i] for i in batch], logits, embeddings)

    def _plan(self, size: Size) -> ImageGeometry:
        return ImageGeometry.plan(size, self._input_size, self.model.stride)

    def _resize(self, image: np.ndarray, geometry: ImageGeometry) -> Tensor:
        """Return the image, uint8 [*geometry.resized, 3], on the network's device."""
        # Tensors cannot share the memory of read-only or reversed arrays.
        pixels = torch.from_numpy(np.require(image, requirements=('C', 'W')))
        if self.model.device.type == 'cuda':  # pinned memory is copied asynchronously
            pixels = pixels.pin_memory().to(self.model.device, non_blocking=True)
        if geometry.resized == image.shape[:2]:
            return pixels
        planes = pixels.permute(2, 0, 1)[None]
        if planes.is_cuda:  # which has no uint8 resize; on a CPU that is the fastest
            planes = planes.float()
        planes = F.interpolate(planes, geometry.resized, mode='bilinear', antialias=True)
        if planes.is_cuda:
            planes = planes.round_().clamp_(0, 255).byte()
        return planes[0].permute(1, 2, 0)
