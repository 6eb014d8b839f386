# SPDX-License-Identifier: Apache-2.0
"""From images and labels to class ids and confidence: everything round the network."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.backends import Backend, EagerBackend, normalise
from lseg_ros.core.decision import decide, interpolate
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.multiscale import MultiScaleEvaluator
from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.model.lseg import LSeg

# A long side is held to this many short sides at the network, so that a 1x10000 strip stays cheap.
MAX_ASPECT = 4
# What may change the scores of an image, [C, h, w]: gets the image, uint8 [H, W, 3] RGB, the
# scores, and the rows and columns of their grid that the image covers.
ScoreFilter = Callable[[np.ndarray, Tensor, tuple[float, float]], Tensor]
# From so many classes on a CPU is faster where those of a cell lie beside each other.
MANY_CLASSES = 32
# Classes are decided on at most this many pixels: the image's own up to VGA.
DECISION_PIXELS = 640 * 480


@dataclass(frozen=True)
class Segmentation:
    """What each pixel is: class ids and the confidence in them, both uint8 [H, W].

    Ids are those of the LabelSet, or 255 where the confidence is below the threshold.
    Confidence is the calibrated probability of the winning class, 0..1 as 0..255.
    """

    ids: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class PreparedLabels:
    """A LabelSet with its text encoded: all that `Segmenter.segment` needs to know of labels."""

    labels: LabelSet
    text: Tensor  # [K, E] rows for the backend's correlate, one per prompt
    counts: tuple[int, ...]  # of each of the C classes, how many of the K prompts are its own
    ids: Tensor  # uint8 [C], the id of each class


@dataclass(frozen=True)
class _Geometry:
    """Sizes (height, width) of one image on its way: given, resized, padded, decided, put out."""

    image: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]
    decision: tuple[int, int]
    output: tuple[int, int]

    def step(self, grid: tuple[int, int]) -> tuple[float, float]:
        """Return how many cells of the network's grid one pixel of the decision takes."""
        return tuple(
            cells / padded * resized / out
            for cells, padded, resized, out in zip(grid, self.padded, self.resized, self.decision)
        )

    def covered(self, grid: tuple[int, int]) -> tuple[float, float]:
        """Return how many rows and columns of the network's grid the image takes."""
        return tuple(
            cells * resized / padded
            for cells, resized, padded in zip(grid, self.resized, self.padded)
        )


@dataclass(frozen=True)
class Comparison:
    """An image compared with K texts: calibrated logits [K, h, w] on the network's grid."""

    logits: Tensor
    _plan: _Geometry

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self._plan.image

    def enlarge(self, score: Tensor) -> Tensor:
        """Bring a map [h, w] to the grid on which pixels are decided: the image's up to VGA."""
        plan = self._plan
        return interpolate(score[None, None], plan.decision, plan.step(score.shape))[0, 0]

    def to_image(self, part: Tensor) -> np.ndarray:
        """Bring an enlarged map to the size of the image, by nearest neighbour."""
        return _sample(part[None], self._plan.image)[0].cpu().numpy()


class Segmenter:
    """Runs an LSeg on uint8 RGB images of any size.

    An image is reduced, keeping its aspect, until its short side is `input_size` (by default the
    network's own; 0 keeps the image's size; small images are never enlarged) and its long side at
    most four times that, then padded at the right and bottom with the mean colour to multiples of
    the network's stride.

    The scores come back by one bilinear step from the network's grid to the image's own, so resize
    and padding are undone exactly.  Images beyond 640x480 pixels are decided on a grid of about
    that many pixels and the ids enlarged by nearest neighbour, and only classes that win somewhere
    on the network's grid are enlarged at all: memory depends neither on 4K nor on 254 labels.

    With a `multiscale` evaluator the mean of its logits takes the place of the one pass through
    the network, and `input_size` and `backend` have no effect; prompts, calibration, threshold
    and the grid of the decision stay the same.

    Filters apart, no result depends on earlier calls; `prepare` and `segment` may run in different
    threads.
    """

    def __init__(
        self,
        model: LSeg,
        *,
        confidence_threshold: float = 0.0,
        input_size: int | None = None,
        backend: Backend | None = None,
        multiscale: MultiScaleEvaluator | None = None,
    ) -> None:
        """Use `model`, on its device and in its dtype; see the class for the rest.

        `backend` runs the image side (`lseg_ros.backends.open_backend`); by default the network
        itself does, which is slower, and starts at once.
        """
        input_size = model.input_size if input_size is None else input_size
        if input_size < 0:
            raise ValueError(f'input_size must be 0 or more pixels, not {input_size}')
        self.model = model
        self.input_size = input_size
        self.multiscale = multiscale
        self.confidence_threshold = confidence_threshold
        self.backend = EagerBackend(model) if backend is None or multiscale else backend
        self._encoding = threading.Lock()

    @property
    def confidence_threshold(self) -> float:
        """Pixels with less confidence, 0..1, become 255; it may change between calls."""
        return self._confidence_threshold

    @confidence_threshold.setter
    def confidence_threshold(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f'confidence_threshold must be 0..1, not {value}')
        self._confidence_threshold = value

    def prepare(self, labels: LabelSet) -> PreparedLabels:
        """Encode the prompts of `labels`; those seen before come from the model's cache."""
        with torch.inference_mode():
            text = self.backend.project(self.model.encode_text(labels.prompts))
            ids = torch.tensor(labels.ids, dtype=torch.uint8, device=self.model.device)
        return PreparedLabels(labels, text, tuple(len(c.prompts) for c in labels.classes), ids)

    def warm_up(self, height: int, width: int) -> None:
        """Run on a black image of this size, so that the first real one is not slow."""
        prepared = self.prepare(LabelRegistry().replace(['floor']))
        for _ in range(2):  # on a GPU a size is recorded when it comes again
            self.segment([np.zeros((height, width, 3), np.uint8)], prepared)

    def segment(
        self,
        images: Sequence[np.ndarray],
        prepared: PreparedLabels,
        output_size: tuple[int, int] | None = None,
        filters: Sequence[ScoreFilter] | None = None,
    ) -> list[Segmentation]:
        """Segment uint8 RGB images [H, W, 3], of any sizes, and return one result for each.

        Images that have the same size once resized go through the network as one batch.  The
        scores of each image pass its filter, where there are `filters`, before the decision.
        Results have `output_size` (height, width), sampled by nearest neighbour; None: the
        image's.
        Raises ValueError for an image of another dtype, shape or without pixels.
        """
        filters = [_unfiltered] * len(images) if filters is None else filters
        for index, image in enumerate(images):
            _check_image(image, index)
        plans = [self._plan(image.shape[:2], output_size) for image in images]
        if self.multiscale is not None:
            return [
                self._segment_at_all_scales(*job, prepared) for job in zip(images, plans, filters)
            ]
        results: dict[int, Tensor] = {}
        with torch.inference_mode():
            for resized in dict.fromkeys(plan.resized for plan in plans):
                batch = [i for i, plan in enumerate(plans) if plan.resized == resized]
                pixels = torch.stack([self._resize(images[i], plans[i]) for i in batch])
                for i, scores in zip(batch, self._scores(pixels, prepared)):
                    scores = filters[i](images[i], scores, plans[i].covered(scores.shape[1:]))
                    results[i] = self._decide(scores, plans[i], prepared.ids)
            # Only here is a GPU waited for.
            return [Segmentation(*results[i].cpu().numpy()) for i in range(len(images))]

    def compare(self, image: np.ndarray, text: Tensor) -> Comparison:
        """Compare a uint8 RGB image [H, W, 3] with rows of `LSeg.encode_text`, [K, D].

        Raises ValueError as `segment` does.
        """
        _check_image(image, 0)
        plan = self._plan(image.shape[:2])
        with torch.inference_mode():
            logits = self._logits(self._resize(image, plan)[None], self.backend.project(text))[0]
        return Comparison(logits, plan)

    def embed(self, image: np.ndarray) -> ImageEmbedding:
        """Return the embedding of a uint8 RGB image [H, W, 3], whatever the labels.

        Raises ValueError as `segment` does.
        """
        _check_image(image, 0)
        plan = self._plan(image.shape[:2])
        with torch.inference_mode():
            grid = self._encode(image, plan)[0]
        return ImageEmbedding(
            grid, plan.image, plan.resized, plan.padded, self.model.config.align_corners
        )

    @torch.inference_mode()
    def _segment_at_all_scales(
        self,
        image: np.ndarray,
        plan: _Geometry,
        score_filter: ScoreFilter,
        prepared: PreparedLabels,
    ) -> Segmentation:
        logits = self.multiscale(image, prepared.text, plan.decision)
        logits = logits / (self.multiscale.passes * self.model.calibration)
        scores = _probabilities(logits[None], prepared)[0]
        scores = score_filter(image, scores, plan.decision)
        decided = replace(plan, resized=plan.decision, padded=plan.decision)
        return Segmentation(*self._decide(scores, decided, prepared.ids).cpu().numpy())

    def _plan(self, image: tuple[int, int], output: tuple[int, int] | None = None) -> _Geometry:
        short, long = sorted(image)
        scale = 1.0
        if self.input_size:
            scale = min(1.0, self.input_size / short, MAX_ASPECT * self.input_size / long)
        resized = _scaled(image, scale)
        stride = self.model.stride
        padded = tuple(math.ceil(side / stride) * stride for side in resized)
        decision = _scaled(image, min(1.0, math.sqrt(DECISION_PIXELS / (short * long))))
        return _Geometry(image, resized, padded, decision, output or image)

    def _resize(self, image: np.ndarray, plan: _Geometry) -> Tensor:
        """Return the image, uint8 [*plan.resized, 3], on the network's device."""
        # Tensors cannot stand on read-only or reversed arrays, which messages and flips give.
        pixels = torch.from_numpy(np.require(image, requirements=('C', 'W')))
        if self.model.device.type == 'cuda':  # pinned memory is read while the CPU goes on
            pixels = pixels.pin_memory().to(self.model.device, non_blocking=True)
        if plan.resized == plan.image:
            return pixels
        planes = pixels.permute(2, 0, 1)[None]
        if planes.is_cuda:  # there the resize has no uint8 kernel; on a CPU it is the fastest one
            planes = planes.float()
        planes = F.interpolate(planes, plan.resized, mode='bilinear', antialias=True)
        if planes.is_cuda:
            planes = planes.round_().clamp_(0, 255).byte()
        return planes[0].permute(1, 2, 0)

    def _scores(self, images: Tensor, prepared: PreparedLabels) -> Tensor:
        """Return the calibrated probability of each class, [B, C, h, w], on the network's grid."""
        return _probabilities(self._logits(images, prepared.text), prepared)

    def _logits(self, images: Tensor, text: Tensor) -> Tensor:
        """Return calibrated logits, float32 [B, K, h, w], of what `_resize` and `project` give."""
        with self._encoding:  # a backend may give its result in memory that it uses again
            return self.backend.correlate(images, text).float() / self.model.calibration

    def _encode(self, image: np.ndarray, plan: _Geometry) -> Tensor:
        """Return the network's own embeddings of one image, [1, D, h, w]."""
        return self.model.encode_image(normalise(self._resize(image, plan)[None], self.model))

    def _decide(self, scores: Tensor, plan: _Geometry, class_ids: Tensor) -> Tensor:
        """Return ids and confidence, uint8 [2, *plan.output], from scores [C, h, w]."""
        ids, best = decide(scores, class_ids, plan.decision, plan.step(scores.shape[1:]))
        if self.confidence_threshold:
            ids.masked_fill_(best < self.confidence_threshold, UNLABELLED)
        return _sample(torch.stack([ids, _as_bytes(best)]), plan.output)


def _probabilities(logits: Tensor, prepared: PreparedLabels) -> Tensor:
    """Return the probability of each of C classes, [B, C, h, w], from logits [B, K, h, w]."""
    if logits.shape[1] != len(prepared.counts):  # a class is worth its best prompt
        parts = logits.split(prepared.counts, dim=1)
        logits = torch.stack([part.amax(1) for part in parts], dim=1)
    if logits.is_cuda or logits.shape[1] < MANY_CLASSES:
        return torch.softmax(logits, 1)
    return torch.softmax(logits.movedim(1, -1), -1).movedim(-1, 1)


def _unfiltered(image: np.ndarray, scores: Tensor, covered: tuple[float, float]) -> Tensor:
    return scores


def _check_image(image: np.ndarray, index: int) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'image {index} must be a NumPy array of uint8, not {kind}')
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f'image {index} must be [height, width, 3] with pixels, not {list(image.shape)}'
        )


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return tuple(max(1, round(side * scale)) for side in size)


def _as_bytes(share: Tensor) -> Tensor:
    """Return 0..1 as 0..255, rounded."""
    if share.is_cuda:
        return share.mul(255).round_().clamp_(0, 255).byte()
    return torch.from_numpy(cv2.convertScaleAbs(share.numpy(), alpha=255))


def _sample(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 [N, h, w] by nearest neighbour."""
    if planes.shape[1:] == size:
        return planes
    if planes.is_cuda:
        return F.interpolate(planes[None], size, mode='nearest-exact')[0]
    rows, columns = (
        ((np.arange(out) + 0.5) * given / out).astype(np.int64)
        for out, given in zip(size, planes.shape[1:])
    )
    # The same pixels, several times as fast: whole rows are copied.
    return torch.from_numpy(planes.numpy().take(columns, axis=2).take(rows, axis=1))
