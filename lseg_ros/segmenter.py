# SPDX-License-Identifier: Apache-2.0
"""From images and labels to class ids and confidence: everything round the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.model.lseg import LSeg
from lseg_ros.palette import UNLABELLED

# A long side is held to this many short sides at the network, so that a 1x10000 strip stays cheap.
MAX_ASPECT = 4
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
    text: Tensor  # [K, D] unit rows, one per prompt
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
        return _undo(score, self._plan)

    def to_image(self, part: Tensor) -> np.ndarray:
        """Bring an enlarged map to the size of the image, by nearest neighbour."""
        return _sample(part, self._plan.image)


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

    Nothing is kept from call to call; `prepare` and `segment` may run in different threads.
    """

    def __init__(self, model: LSeg, *, confidence_threshold: float = 0.0,
                 input_size: int | None = None) -> None:
        """Use `model`, on its device and in its dtype; see the class for `input_size`."""
        input_size = model.input_size if input_size is None else input_size
        if input_size < 0:
            raise ValueError(f'input_size must be 0 or more pixels, not {input_size}')
        self.model = model
        self.input_size = input_size
        self.confidence_threshold = confidence_threshold

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
            text = self.model.encode_text(labels.prompts)
            ids = torch.tensor(labels.ids, dtype=torch.uint8, device=self.model.device)
        return PreparedLabels(labels, text, tuple(len(c.prompts) for c in labels.classes), ids)

    def warm_up(self, height: int, width: int) -> None:
        """Run once on a black image of this size, so that the first real one is not slow."""
        labels = LabelRegistry().replace(['floor'])
        self.segment([np.zeros((height, width, 3), np.uint8)], self.prepare(labels))

    def segment(self, images: Sequence[np.ndarray], prepared: PreparedLabels,
                output_size: tuple[int, int] | None = None) -> list[Segmentation]:
        """Segment uint8 RGB images [H, W, 3], of any sizes, and return one result for each.

        Images that have the same size once padded go through the network as one batch.  Results
        have `output_size` (height, width), sampled by nearest neighbour; None: the image's.  Raises
        ValueError for an image of another dtype, shape or without pixels.
        """
        for index, image in enumerate(images):
            _check_image(image, index)
        plans = [self._plan(image.shape[:2], output_size) for image in images]
        results: dict[int, Segmentation] = {}
        with torch.inference_mode():
            for padded in dict.fromkeys(plan.padded for plan in plans):
                batch = [i for i, plan in enumerate(plans) if plan.padded == padded]
                pixels = torch.stack([self._pixels(images[i], plans[i]) for i in batch])
                for i, scores in zip(batch, self._scores(pixels, prepared)):
                    results[i] = self._decide(scores, plans[i], prepared.ids)
        return [results[i] for i in range(len(images))]

    def compare(self, image: np.ndarray, text: Tensor) -> Comparison:
        """Compare a uint8 RGB image [H, W, 3] with rows of `LSeg.encode_text`, [K, D].

        Raises ValueError as `segment` does.
        """
        _check_image(image, 0)
        plan = self._plan(image.shape[:2])
        with torch.inference_mode():
            embeddings = self.model.encode_image(self._pixels(image, plan)[None])
            logits = self.model.correlate(embeddings, text)[0].float() / self.model.calibration
        return Comparison(logits, plan)

    def _plan(self, image: tuple[int, int],
              output: tuple[int, int] | None = None) -> _Geometry:
        short, long = sorted(image)
        scale = 1.0
        if self.input_size:
            scale = min(1.0, self.input_size / short, MAX_ASPECT * self.input_size / long)
        resized = _scaled(image, scale)
        stride = self.model.stride
        padded = tuple(math.ceil(side / stride) * stride for side in resized)
        decision = _scaled(image, min(1.0, math.sqrt(DECISION_PIXELS / (short * long))))
        return _Geometry(image, resized, padded, decision, output or image)

    def _pixels(self, image: np.ndarray, plan: _Geometry) -> Tensor:
        """Return the image as the network wants it: [3, *plan.padded], resized and normalised."""
        model = self.model
        # Tensors cannot stand on read-only or reversed arrays, which messages and flips give.
        pixels = torch.from_numpy(np.require(image, requirements=('C', 'W'))).to(model.device)
        pixels = pixels.permute(2, 0, 1)[None]
        if pixels.is_cuda:  # there the resize has no uint8 kernel; on a CPU it is the fastest one
            pixels = pixels.float()
        if plan.resized != plan.image:
            pixels = F.interpolate(pixels, plan.resized, mode='bilinear', antialias=True)
        mean, std = (255 * torch.tensor(value, device=model.device)[:, None, None]
                     for value in (model.mean, model.std))
        pixels = (pixels[0] - mean) / std
        bottom, right = (p - r for p, r in zip(plan.padded, plan.resized))
        return F.pad(pixels, (0, right, 0, bottom)).to(model.dtype)

    def _scores(self, pixels: Tensor, prepared: PreparedLabels) -> Tensor:
        """Return the calibrated probability of each class, [B, C, h, w], on the network's grid."""
        logits = self.model.correlate(self.model.encode_image(pixels), prepared.text).float()
        if logits.shape[1] != len(prepared.counts):  # a class is worth its best prompt
            parts = logits.split(prepared.counts, dim=1)
            logits = torch.stack([part.amax(1) for part in parts], dim=1)
        return torch.softmax(logits / self.model.calibration, dim=1)

    def _decide(self, scores: Tensor, plan: _Geometry, class_ids: Tensor) -> Segmentation:
        """Choose each pixel's class from scores [C, h, w]."""
        candidates = scores.max(0).indices.unique()
        best = torch.zeros(plan.decision, device=scores.device)
        ids = torch.full(plan.decision, UNLABELLED, dtype=torch.uint8, device=scores.device)
        for i in candidates.tolist():
            score = _undo(scores[i], plan)
            ids[score > best] = class_ids[i]
            torch.maximum(best, score, out=best)
        ids[best < self.confidence_threshold] = UNLABELLED
        confidence = best.mul_(255).round_().clamp_(0, 255).byte()
        return Segmentation(*(_sample(part, plan.output) for part in (ids, confidence)))


def _check_image(image: np.ndarray, index: int) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'image {index} must be a NumPy array of uint8, not {kind}')
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f'image {index} must be [height, width, 3] with pixels, '
                         f'not {list(image.shape)}')


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return tuple(max(1, round(side * scale)) for side in size)


def _undo(score: Tensor, plan: _Geometry) -> Tensor:
    """Bring one class's scores [h, w], of the padded image, to the grid of the decision.

    `interpolate` takes a size or a scale; cutting the padding off while resizing needs both.
    """
    scale_y, scale_x = (out / resized * padded / grid for out, resized, padded, grid in
                        zip(plan.decision, plan.resized, plan.padded, score.shape))
    return torch.ops.aten.upsample_bilinear2d(
        score[None, None], plan.decision, False, scale_y, scale_x)[0, 0]


def _sample(part: Tensor, size: tuple[int, int]) -> np.ndarray:
    if part.shape != size:
        part = F.interpolate(part[None, None], size, mode='nearest-exact')[0, 0]
    return part.cpu().numpy()
