# SPDX-License-Identifier: Apache-2.0
"""A small scene for maps: a camera that sees flat walls, and texts that tell them apart."""

from __future__ import annotations

import numpy as np
import torch

from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts
from lseg_ros.mapping.observation import DepthLimits, GridView, Observation, observe

WORDS = ('other', 'floor', 'wall', 'sofa', 'lamp')  # each is one axis of the vectors
MODEL = 'tiny-5-01234567'
SIZE_M = 0.1
LIMITS = DepthLimits(least=0.2, most=4.0)
AHEAD = np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1]])  # x ahead, z up


def vector_of(word: str) -> torch.Tensor:
    """Return the unit vector of a word."""
    return torch.eye(len(WORDS))[WORDS.index(word)]


def texts_of(*words: str) -> EncodedTexts:
    """Return words as an encoder would."""
    return EncodedTexts(torch.stack([vector_of(word) for word in words]), 15.0, MODEL)


def labels_of(*words: str) -> EncodedLabels:
    """Return labels, with other as id 0, as an encoder would."""
    labels = LabelRegistry().replace(words)
    return EncodedLabels(labels, texts_of(*labels.prompts))


def wall_ahead(
    distance: float, word: str = 'wall', stamp_s: float = 1.0, pose: np.ndarray = AHEAD, color: int = 100
) -> GridView:
    """Return what a camera sees of a wall that stands square to it, on a grid of 24 x 32."""
    rows, columns = np.mgrid[-0.6:0.6:24j, -0.8:0.8:32j].astype(np.float32)
    return GridView(
        vectors=vector_of(word).expand(24, 32, -1),
        colors=np.full((24, 32, 3), color, np.uint8),
        depth=np.full((24, 32), distance, np.float32),
        rays=np.stack([columns, rows]),
        pose=pose,
        stamp_s=stamp_s,
    )


def seen(view: GridView) -> Observation:
    """Return what a view adds to a map."""
    return observe(view, LIMITS, SIZE_M)
