# SPDX-License-Identifier: Apache-2.0
"""Segmentation of images by labels: the interface, and what every implementation shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from lseg_ros.backends import Backend
from lseg_ros.core.decision import decide, sample
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import ImageGeometry, Size
from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.model.lseg import LSeg

# Changes the scores of an image, [C, h, w]. Takes the image, uint8 [H, W, 3] RGB, its scores, and
# how many rows and columns of their grid the image covers.
ScoreFilter = Callable[[np.ndarray, Tensor, tuple[float, float]], Tensor]
# On a CPU, softmax over this many classes is faster with the scores of a cell contiguous.
MANY_CLASSES = 32


@dataclass(frozen=True)
class Segmentation:
    """The class id of each pixel and the confidence in it, both uint8 [H, W].

    Ids are those of the LabelSet, or 255 where the confidence is below the threshold.
    Confidence is the calibrated probability of the winning class, 0..1 scaled to 0..255.
    `embedding`, if it was asked for, is comparable with rows of `Segmenter.encode_prompts`.
    """

    ids: np.ndarray
    confidence: np.ndarray
    embedding: ImageEmbedding | None = None


@dataclass(frozen=True)
class PreparedLabels:
    """A LabelSet with its prompts encoded, for the segmenter that prepared it."""

    labels: LabelSet
    text: Tensor  # [K, E], one row per prompt, as the backend's correlate expects
    counts: tuple[int, ...]  # how many of the K prompts belong to each of the C classes
    ids: Tensor  # uint8 [C], the id of each class


@dataclass(frozen=True)
class LogitsBatch:
    """Calibrated logits, float32 [B, K, h, w], of the images with these indices.

    `embeddings`, if they were asked for, are what the logits were computed from, [B, E, h, w].
    """

    indices: Sequence[int]
    geometries: Sequence[ImageGeometry]
    logits: Tensor
    embeddings: Tensor | None = None


class Segmenter(ABC):
    """Segments uint8 RGB images of any size with an LSeg.

    Scores are interpolated bilinearly from the network's grid to the image's pixels in one step.
    Images beyond 640x480 pixels are decided on a grid of about that many pixels and enlarged by
    nearest neighbour, so memory depends neither on 4K images nor on 254 labels.

    Filters aside, no result depends on earlier calls; `prepare` and `segment` may run in
    different threads.
    """

    def __init__(self, model: LSeg, backend: Backend) -> None:
        """Use `model`, on its device and in its dtype, run by `backend`."""
        self.model = model
        self._backend = backend

    @property
    def backend_name(self) -> str:
        """What runs the network: eager, torch, openvino or onnxruntime."""
        return self._backend.name

    def prepare(self, labels: LabelSet) -> PreparedLabels:
        """Encode the prompts of `labels`; the model caches those it has seen before."""
        with torch.inference_mode():
            text = self._backend.project(self.model.encode_text(labels.prompts))
        ids = torch.tensor(labels.ids, dtype=torch.uint8, device=self.model.device)
        return PreparedLabels(labels, text, _prompt_counts(labels), ids)

    def warm_up(self, height: int, width: int) -> None:
        """Segment a black image of this size, so that the first real one is not slow."""
        prepared = self.prepare(LabelRegistry().replace(['floor']))
        for _ in range(2):  # a GPU records an image size when it sees it for the second time
            self.segment([np.zeros((height, width, 3), np.uint8)], prepared)

    def segment(
        self,
        images: Sequence[np.ndarray],
        prepared: PreparedLabels,
        *,
        sizes: Sequence[Size] | None = None,
        threshold: float = 0.0,
        output_size: Size | None = None,
        filters: Sequence[ScoreFilter] | None = None,
        embed: bool = False,
    ) -> list[Segmentation]:
        """Segment uint8 RGB images [H, W, 3], of any sizes, and return one result for each.

        Pixels with a confidence below `threshold`, 0..1, become 255. `filters`, one per image,
        change the scores before the decision. Results have `output_size` (height, width), sampled
        by nearest neighbour, or the size of their image. With `embed` they hold the embedding that
        was scored, too. For images that are already reduced, no further than to `network_size`,
        give their original `sizes`: results are those of the originals.
        Raise ValueError for a threshold out of range, or an image without pixels or not as above.
        """
        check_threshold(threshold)
        for index, image in enumerate(images):
            check_image(image, index)
        sizes = sizes or [image.shape[:2] for image in images]
        decided: dict[int, Tensor] = {}
        embeddings: dict[int, ImageEmbedding] = {}
        with torch.inference_mode():
            for batch in self._logits(images, sizes, prepared.text, embed):
                embeddings |= self._embeddings_of(batch)
                scored = zip(batch.indices, batch.geometries, _probabilities(batch.logits, prepared.counts))
                for index, geometry, scores in scored:
                    if filters is not None:
                        covered = geometry.covered(scores.shape[1:])
                        scores = filters[index](images[index], scores, covered)
                    decided[index] = _decide(scores, geometry, prepared.ids, threshold)
            # The first and only wait for a GPU.
            planes = [sample(decided[index].cpu().numpy(), output_size or size) for index, size in enumerate(sizes)]
            return [
                Segmentation(ids, confidence, embeddings.get(index)) for index, (ids, confidence) in enumerate(planes)
            ]

    @cached_property
    def embedding_id(self) -> str:
        """Names the vectors of this segmenter: only those with the same id may be compared.

        It holds the name of the model, the length of a vector and a digest of the weights, which
        does not depend on their precision.
        """
        dimensions = self.encode_prompts(['other']).shape[1]
        return f'{self.model.name}-{dimensions}-{self.model.digest()}'

    @property
    def logit_scale(self) -> float:
        """The factor from cosines to calibrated logits."""
        return 1.0 / (self.model.config.temperature * self.model.calibration)

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return rows, float32 [K, E], whose product with an embedding of `segment` is the cosine.

        Raise ValueError as `LSeg.encode_text` does.
        """
        with torch.inference_mode():
            return self._backend.project(self.model.encode_text(prompts)).float()

    def segment_embedding(self, embedding: ImageEmbedding, labels: LabelSet) -> Segmentation:
        """Segment an image from its embedding, as `segment` would: labels may come later."""
        with torch.inference_mode():
            text, grid = self.model.encode_text(labels.prompts), embedding.grid[None].to(self.model.device)
            logits = self.model.correlate(grid, text)[0].float() / self.model.calibration
        return self.segment_logits(logits, embedding.geometry, labels)

    def segment_logits(self, logits: Tensor, geometry: ImageGeometry, labels: LabelSet) -> Segmentation:
        """Segment an image from what `compare` returns for it, as `segment` would.

        `logits`, [K, h, w], are those of the K prompts of `labels`, in their order.
        """
        with torch.inference_mode():
            ids = torch.tensor(labels.ids, dtype=torch.uint8, device=logits.device)
            scores = _probabilities(logits[None], _prompt_counts(labels))[0]
            decided = _decide(scores, geometry, ids, 0.0)
            return Segmentation(*sample(decided.cpu().numpy(), geometry.image))

    def compare(self, image: np.ndarray, text: Tensor) -> tuple[Tensor, ImageGeometry]:
        """Compare a uint8 RGB image [H, W, 3] with rows of `LSeg.encode_text`, [K, D].

        Return calibrated logits, float32 [K, h, w], on the network's grid, and where that grid
        lies. Raise ValueError as `segment` does.
        """
        check_image(image, 0)
        with torch.inference_mode():
            (batch,) = self._logits([image], [image.shape[:2]], self._backend.project(text))
        return batch.logits[0], batch.geometries[0]

    @abstractmethod
    def embed(self, image: np.ndarray) -> ImageEmbedding:
        """Return the embedding of a uint8 RGB image [H, W, 3]; labels play no part in it.

        Raise ValueError as `segment` does, and if this kind of segmenter cannot embed images.
        """

    def network_size(self, size: Size) -> Size:
        """Return the size (height, width) to which images of `size` are reduced for the network."""
        return size

    @abstractmethod
    def _logits(
        self, images: Sequence[np.ndarray], sizes: Sequence[Size], text: Tensor, embed: bool = False
    ) -> Iterator[LogitsBatch]:
        """Yield the logits of all images, in batches, for rows [K, E] of the backend's project.

        `sizes` are as for `segment`, one per image. With `embed`, the batches hold the embeddings,
        too; raise ValueError if there are none.
        """

    def _embeddings_of(self, batch: LogitsBatch) -> dict[int, ImageEmbedding]:
        if batch.embeddings is None:
            return {}
        align_corners = self.model.config.align_corners
        return {
            index: ImageEmbedding(grid, geometry, align_corners, self.embedding_id)
            for index, geometry, grid in zip(batch.indices, batch.geometries, batch.embeddings)
        }


def check_threshold(threshold: float) -> None:
    """Raise ValueError unless a confidence threshold is within 0 and 1."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f'the confidence threshold must be 0..1, not {threshold}')


def _prompt_counts(labels: LabelSet) -> tuple[int, ...]:
    """Return how many prompts each class has."""
    return tuple(len(label.prompts) for label in labels.classes)


def _probabilities(logits: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the probability of each of C classes, [B, C, h, w], from logits [B, K, h, w].

    `counts` are how many of the K prompts belong to each class.
    """
    if logits.shape[1] != len(counts):  # the best prompt of a class counts
        parts = logits.split(tuple(counts), dim=1)
        logits = torch.stack([part.amax(1) for part in parts], dim=1)
    if logits.is_cuda or logits.shape[1] < MANY_CLASSES:
        return torch.softmax(logits, 1)
    return torch.softmax(logits.movedim(1, -1), -1).movedim(-1, 1)


def _decide(scores: Tensor, geometry: ImageGeometry, class_ids: Tensor, threshold: float) -> Tensor:
    """Return ids and confidence, uint8 [2, *geometry.decision], from scores [C, h, w]."""
    ids, best = decide(scores, class_ids, geometry.decision, geometry.step(scores.shape[1:]))
    if threshold:
        ids.masked_fill_(best < threshold, UNLABELLED)
    return torch.stack([ids, _as_bytes(best)])


def check_image(image: np.ndarray, index: int) -> None:
    """Raise ValueError, with the image's index, unless it is uint8 [H, W, 3] and has pixels."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'image {index} must be a NumPy array of uint8, not {kind}')
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f'image {index} must be [height, width, 3] with pixels, not {list(image.shape)}')


def _as_bytes(share: Tensor) -> Tensor:
    """Return 0..1 as 0..255, rounded."""
    if share.is_cuda:
        return share.mul(255).round_().clamp_(0, 255).byte()
    return torch.from_numpy(cv2.convertScaleAbs(share.numpy(), alpha=255))
