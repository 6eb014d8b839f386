# SPDX-License-Identifier: Apache-2.0
"""Pixel accuracy and mIoU on the validation images of ADE20K (ADEChallengeData2016)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from lseg_lab.evaluation.multiscale import MultiScaleEvaluator
from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.evaluation.pictures import read_mask, read_picture

CLASSES = 150
# Pixels of an image; rows: intersection, predicted where labelled, true; columns: classes.
COUNTS = (3, CLASSES)


@dataclass(frozen=True)
class AdePair:
    """An image and its mask: 0 means unlabelled, 1 to 150 a class."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class AdeScore:
    """Scores in per cent; class IoU by name, in the order of the masks."""

    pixel_accuracy: float
    mean_iou: float
    iou: list[tuple[str, float]]


def ade20k_names(label_set: str) -> list[str]:
    """Return the 150 labels: `full` class names, or the authors' `truncated` ones.

    The authors' label file splits names into words as if these were synonyms, and only the first
    word was used: "coffee" for the coffee table, and "screen" for two classes.
    """
    names = benchmark_names('ade20k')
    return [name.split()[0] if label_set == 'truncated' else name for name in names]


def open_ade20k(root: str | Path, split: str = 'validation') -> list[AdePair]:
    """Return the images of a split below `root`: ADEChallengeData2016 or its parent folder.

    Raise FileNotFoundError, naming the path and its source, if something is missing.
    """
    root = Path(root)
    root = root / 'ADEChallengeData2016' if (root / 'ADEChallengeData2016').is_dir() else root
    folder, masks = (root / kind / split for kind in ('images', 'annotations'))
    pairs = [AdePair(path, masks / f'{path.stem}.png') for path in sorted(folder.glob('*.jpg'))]
    missing = [pair.mask for pair in pairs if not pair.mask.is_file()]
    if missing or not pairs:
        raise FileNotFoundError(
            f'{missing[0] if missing else folder / "*.jpg"} is missing: --root must be the '
            'unpacked ADEChallengeData2016 of the scene parsing benchmark'
        )
    return pairs


def count_image(evaluator: MultiScaleEvaluator, text: Tensor, pair: AdePair) -> np.ndarray:
    """Segment an image by the authors' protocol and count pixels as int64 [3, 150].

    Raise OSError, naming the file, if one is unreadable or the sizes differ.
    """
    image, mask = np.array(read_picture(pair.image)), read_mask(pair.mask)
    if mask.shape != image.shape[:2] or mask.max() > CLASSES:
        raise OSError(
            f'{pair.mask}: must be {image.shape[:2]} with values up to {CLASSES}, is '
            f'{mask.shape} with values up to {mask.max()}'
        )
    answer = 1 + evaluator(image, text).argmax(0).cpu().numpy()
    labelled = mask > 0
    rows = (mask[labelled & (answer == mask)], answer[labelled], mask[labelled])
    return np.stack([np.bincount(values, minlength=CLASSES + 1)[1:] for values in rows])


def ade20k_score(names: list[str], counts: np.ndarray) -> AdeScore:
    """Return the scores for the counts [N, 3, 150] of all images.

    mIoU is the mean over all 150 classes; a class that is neither true nor predicted counts as 0.
    """
    intersection, answered, true = counts.sum(0)
    iou = intersection / np.maximum(answered + true - intersection, 1)
    return AdeScore(
        100 * float(intersection.sum() / max(true.sum(), 1)),
        100 * float(iou.mean()),
        [(name, 100 * float(value)) for name, value in zip(names, iou)],
    )
