# SPDX-License-Identifier: Apache-2.0
"""Pixel accuracy and mIoU on the validation images of ADE20K (ADEChallengeData2016)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.evaluation.pictures import read_mask, read_picture
from lseg_ros.core.multiscale import MultiScaleEvaluator

CLASSES = 150
# Of an image: rows intersection, answered where labelled, true; a column for each class; pixels.
COUNTS = (3, CLASSES)


@dataclass(frozen=True)
class LabelledImage:
    """An image and its mask: 0 unlabelled, 1 to 150 a class."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class AdeScore:
    """What came out, in per cent; class IoU by name, in the order of the masks."""

    pixel_accuracy: float
    mean_iou: float
    iou: list[tuple[str, float]]


def ade20k_names(label_set: str) -> list[str]:
    """The 150 labels: `full` class names, or the `truncated` ones that the authors asked.

    The authors' label file separates the words of a name like its synonyms, so that only the
    first word was asked: "coffee" for the coffee table, and "screen" for two classes.
    """
    names = benchmark_names('ade20k')
    return [name.split()[0] if label_set == 'truncated' else name for name in names]


def open_ade20k(root: str | Path, split: str = 'validation') -> list[LabelledImage]:
    """The images of a split below `root`, ADEChallengeData2016 or the folder that holds it.

    Raises FileNotFoundError, with the path and its source, when something is missing.
    """
    root = Path(root)
    root = root / 'ADEChallengeData2016' if (root / 'ADEChallengeData2016').is_dir() else root
    folder, masks = (root / kind / split for kind in ('images', 'annotations'))
    pairs = [
        LabelledImage(path, masks / f'{path.stem}.png') for path in sorted(folder.glob('*.jpg'))
    ]
    missing = [pair.mask for pair in pairs if not pair.mask.is_file()]
    if missing or not pairs:
        raise FileNotFoundError(
            f'{missing[0] if missing else folder / "*.jpg"} is missing: --root must be '
            'ADEChallengeData2016 of the scene parsing benchmark, unpacked'
        )
    return pairs


def count_image(evaluator: MultiScaleEvaluator, text: Tensor, pair: LabelledImage) -> np.ndarray:
    """Segment an image by the authors' protocol; its pixels as COUNTS says, int64.

    Raises OSError, naming the file, when one is unreadable or the sizes differ.
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
    """The scores of the counts [N, 3, 150] of all images.

    mIoU is the mean over all 150 classes; one that is neither true nor answered counts 0.
    """
    intersection, answered, true = counts.sum(0)
    iou = intersection / np.maximum(answered + true - intersection, 1)
    return AdeScore(
        100 * float(intersection.sum() / max(true.sum(), 1)),
        100 * float(iou.mean()),
        [(name, 100 * float(value)) for name, value in zip(names, iou)],
    )
