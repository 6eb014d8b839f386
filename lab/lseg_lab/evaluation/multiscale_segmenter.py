# SPDX-License-Identifier: Apache-2.0
"""Segmentation by the authors' protocol of six scales: the best quality, at dozens of passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from torch import Tensor

from lseg_lab.evaluation.multiscale import MultiScaleEvaluator
from lseg_lab.evaluation.windows import Window
from lseg_ros.backends import EagerBackend
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.geometry import ImageGeometry, Size, decision_size
from lseg_ros.core.segmenter import LogitsBatch, Segmenter
from lseg_ros.model import LSeg

_NO_EMBEDDINGS = "multi-scale segmentation has no embeddings: open the segmenter with quality 'fast'"


class MultiScaleSegmenter(Segmenter):
    """Decides by the mean of the logits of a MultiScaleEvaluator.

    The network runs as written, at the sizes of the protocol.
    """

    def __init__(self, evaluator: MultiScaleEvaluator) -> None:
        """Use the model of `evaluator`, on its device and in its dtype."""
        super().__init__(evaluator.model, EagerBackend(evaluator.model))
        self._evaluator = evaluator

    def warm_up(self, height: int, width: int) -> None:
        """Do nothing: at dozens of passes an image, the first one is hardly slower."""

    def embed(self, image: np.ndarray) -> ImageEmbedding:
        """Raise ValueError: the protocol averages logits, so there is no one embedding."""
        raise ValueError(_NO_EMBEDDINGS)

    def _logits(
        self, images: Sequence[np.ndarray], sizes: Sequence[Size], text: Tensor, embed: bool = False
    ) -> Iterator[LogitsBatch]:
        if embed:
            raise ValueError(_NO_EMBEDDINGS)
        scale = self._evaluator.passes * self.model.calibration
        for index, (image, size) in enumerate(zip(images, sizes)):
            decided = decision_size(size)
            logits = self._evaluator(image, text, decided)[None] / scale
            # These logits are already on the grid of the decision.
            yield LogitsBatch([index], [ImageGeometry(size, decided, decided, decided)], logits)


def open_multiscale(
    model: LSeg, progress: Callable[[Sequence[Window]], Iterable[Window]] = iter
) -> MultiScaleSegmenter:
    """Return the segmenter that `lseg_ros.core.factory.open_segmenter` opens for quality best."""
    crop = 480 // model.stride * model.stride  # 480 for the authors' networks
    return MultiScaleSegmenter(MultiScaleEvaluator(model, crop=crop, progress=progress))
