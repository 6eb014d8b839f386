# SPDX-License-Identifier: Apache-2.0
"""Find texts in one image: how relevant each pixel is to them, compared with the labels.

On its own a text would match everywhere, since something always fits best. It therefore competes
with `other` and the classes of a LabelSet, as queries in LERF (Kerr et al., 2023, arXiv
2303.09553) compete with its canonical phrases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lseg_ros.core.decision import interpolate, sample
from lseg_ros.core.geometry import ImageGeometry
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelClass, LabelError, LabelSet
from lseg_ros.labels.colors import class_color
from lseg_ros.labels.ids import OTHER
from lseg_ros.labels.syntax import OTHER_NAME, check_prompt

PROMPTS_PER_QUERY = 32


@dataclass(frozen=True)
class PreparedQuery:
    """The texts to find, encoded, and the classes they compete with."""

    prompts: tuple[str, ...]
    background: LabelSet
    text: Tensor  # [K + P, D] unit rows: the background's prompts, then `prompts`


@dataclass(frozen=True)
class Comparison:
    """An image compared with K texts: calibrated logits [K, h, w] on the network's grid."""

    logits: Tensor
    geometry: ImageGeometry

    def enlarge(self, score: Tensor) -> Tensor:
        """Interpolate a map [h, w] to the grid on which pixels are decided."""
        step = self.geometry.step(score.shape)
        return interpolate(score[None, None], self.geometry.decision, step)[0, 0]

    def to_image(self, pixels: Tensor) -> np.ndarray:
        """Resize an enlarged uint8 map to the size of the image, by nearest neighbour."""
        resized: np.ndarray = sample(pixels[None].cpu().numpy(), self.geometry.image)[0]
        return resized


@dataclass(frozen=True)
class Relevance:
    """Where one text is in an image.

    `pixels` is uint8 [H, W], a relevance of 0..1 scaled to 0..255. `peak` is the greatest
    relevance, 0..1, found at column `peak_u` and row `peak_v`.
    """

    pixels: np.ndarray
    peak: float
    peak_u: int
    peak_v: int


def prepare_query(segmenter: Segmenter, prompts: Sequence[str], labels: LabelSet) -> PreparedQuery:
    """Encode `prompts` and their competitors: `labels`, plus `other` if it is not among them.

    Raise LabelError for no prompts, more than 32, or an unusable one.
    """
    if not prompts:
        raise LabelError('no prompts: give at least one text to find')
    if len(prompts) > PROMPTS_PER_QUERY:
        raise LabelError(f'{len(prompts)} prompts; at most {PROMPTS_PER_QUERY} in one call')
    prompts = tuple(map(check_prompt, prompts))
    background = with_other(labels)
    with torch.inference_mode():
        text = segmenter.model.encode_text((*background.prompts, *prompts))
    return PreparedQuery(prompts, background, text)


def ask(segmenter: Segmenter, image: np.ndarray, query: PreparedQuery) -> list[Relevance]:
    """Return where each prompt of `query` is in `image`, uint8 RGB [H, W, 3].

    The relevance of a pixel is the softmax of the prompt's logit against those of the background
    classes, except classes with the same prompt: a class does not compete with itself.
    Raise ValueError for an image that `Segmenter.segment` would refuse.
    """
    counts = [len(label.prompts) for label in query.background.classes]
    with torch.inference_mode():
        compared = Comparison(*segmenter.compare(image, query.text))
        *classes, asked = compared.logits.split((*counts, len(query.prompts)))
        scores = torch.stack([part.amax(0) for part in classes])
        return [
            _relevance(compared, logit, scores[_rivals(query.background, prompt)])
            for prompt, logit in zip(query.prompts, asked)
        ]


def _relevance(compared: Comparison, logit: Tensor, rivals: Tensor) -> Relevance:
    # A softmax of one against many.
    score = compared.enlarge(torch.sigmoid(logit - rivals.logsumexp(0)))
    row, column = divmod(int(score.argmax()), score.shape[1])
    height, width = compared.geometry.image
    return Relevance(
        compared.to_image(score.mul(255).round_().clamp_(0, 255).byte()),
        float(score.max()),
        peak_u=int((column + 0.5) * width / score.shape[1]),
        peak_v=int((row + 0.5) * height / score.shape[0]),
    )


def _rivals(labels: LabelSet, prompt: str) -> list[bool]:
    return [prompt not in label.prompts for label in labels.classes]


def with_other(labels: LabelSet) -> LabelSet:
    """Return the labels with `other` among them."""
    if OTHER in labels.ids:
        return labels
    other = LabelClass(OTHER, OTHER_NAME, (OTHER_NAME,), class_color(OTHER))
    return LabelSet((other, *labels.classes))
