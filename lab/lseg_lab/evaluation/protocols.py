# SPDX-License-Identifier: Apache-2.0
"""The protocols that methods of open-vocabulary segmentation are evaluated by, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from torch import Tensor

from lseg_lab.evaluation.multiscale import CITYSCAPES_SCALES, MultiScaleEvaluator
from lseg_lab.evaluation.sliding import TALK2DINO, TIPS, SlidingEvaluator, SlidingSettings
from lseg_ros.labels.syntax import OTHER_NAME
from lseg_ros.model import LSeg

# Takes an image, uint8 RGB [H, W, 3], and text [K, D]; returns scores [K, H, W].
Evaluator = Callable[[np.ndarray, Tensor], Tensor]


@dataclass(frozen=True)
class Protocol:
    """How a method's authors evaluate it.

    Their templates belong to the model's text encoder. `open_evaluator` takes the model, the name
    of the data set and the number of windows in one pass.
    """

    name: str
    open_evaluator: Callable[[LSeg, str, int], Evaluator]
    background: str | float  # the prompt of a data set's background, or its score everywhere
    label_sets: tuple[str, ...] = ('full',)  # of ADE20K, see benchmarks.labels_of
    absent_scores_zero: bool = False  # in mIoU, a class that is neither true nor predicted


def protocol_of(model: LSeg, name: str = 'auto') -> Protocol:
    """Return the protocol of this `name`; for auto, that of the authors of the image encoder."""
    if name != 'auto':
        return PROTOCOLS[name]
    family = model.config.encoder.partition('-')[0]
    return PROTOCOLS.get(family, PROTOCOLS['lseg'])


def _multiscale(model: LSeg, dataset: str, batch: int) -> Evaluator:
    if dataset == 'cityscapes':
        return MultiScaleEvaluator(model, base=2048, crop=768, scales=CITYSCAPES_SCALES, batch=batch)
    return MultiScaleEvaluator(model, batch=batch)


def _sliding(settings: SlidingSettings) -> Callable[[LSeg, str, int], Evaluator]:
    return lambda model, dataset, batch: SlidingEvaluator(model, settings, batch=batch)


# By name, which is also the first part of the names of the method's encoders.
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol('lseg', _multiscale, OTHER_NAME, label_sets=('truncated', 'full'), absent_scores_zero=True),
            Protocol('tipsv2', _sliding(TIPS), 'background'),
            Protocol('talk2dino', _sliding(TALK2DINO), 0.55),
        )
    }
)
