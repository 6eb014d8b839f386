# SPDX-License-Identifier: Apache-2.0
"""Open benchmarks and users' own labelled images as a LabelledFolder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lseg_lab.evaluation.folder import DEFAULT_MASKS, open_folder, read_names
from lseg_lab.evaluation.segmentation_sets import open_ade20k
from lseg_lab.training.dataset import LabelledFolder
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.labels.syntax import parse_label


def open_ade20k_training(root: str | Path) -> LabelledFolder:
    """Open the training images of ADE20K (ADEChallengeData2016) with all 150 class names.

    Raise FileNotFoundError, naming the path and its source, if something is missing.
    """
    ade20k = open_ade20k(root, 'training')
    pairs = tuple((labelled.image, labelled.mask, 0) for labelled in ade20k.images)
    return LabelledFolder(ade20k.names, pairs, _palette(len(ade20k.names), first=1))


def open_masked_folder(root: str | Path, names: str | Path, masks: str = DEFAULT_MASKS) -> LabelledFolder:
    """Open a folder of images with index masks next to them; `names` is its names file.

    Each label is represented by its first prompt. Raise FileNotFoundError if no image has a mask,
    ValueError for a names file without names.
    """
    labels = tuple(parse_label(name)[1][0] for name in read_names(names))
    pairs = tuple((image, mask, 0) for image, mask in open_folder(root, masks).pairs)
    return LabelledFolder(labels, pairs, _palette(len(labels), first=0))


def _palette(classes: int, first: int) -> np.ndarray:
    """Return one palette, uint8 [1, 256], for masks whose value `first` is class 0."""
    palette = np.full((1, 256), UNLABELLED, np.uint8)
    palette[0, first : first + classes] = np.arange(classes)
    return palette
