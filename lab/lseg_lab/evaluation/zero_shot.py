# SPDX-License-Identifier: Apache-2.0
"""Zero-shot scores of a network: "others" or the class, in one pass at 480 x 480 an episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from lseg_lab.evaluation.episodes import Benchmark, Episode
from lseg_lab.evaluation.pictures import read_picture
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.model import LSeg

SIDE = 480
BACKGROUND = 'others'
# Of an episode: rows background and class, columns intersection, answered, true; in pixels.
COUNTS = (2, 3)


@dataclass(frozen=True)
class ZeroShotScore:
    """What came out, in per cent; class IoU by name."""

    mean_iou: float
    foreground_background_iou: float
    iou: dict[str, float]


def count_episode(model: LSeg, benchmark: Benchmark, episode: Episode) -> np.ndarray:
    """Segment an episode's image, squeezed to 480 x 480; its pixels as COUNTS says, int64.

    Raises OSError for an unreadable file, ValueError for a network that cannot take the size.
    """
    answer = _answer(model, episode, benchmark.names[episode.label])
    truth = torch.from_numpy(benchmark.read_truth(episode))[None, None].float()
    truth = F.interpolate(truth, (SIDE, SIDE), mode='nearest')[0, 0].byte().numpy()
    counted = truth != UNLABELLED
    columns = [
        np.bincount(values, minlength=2)
        for values in (truth[counted & (answer == truth)], answer[counted], truth[counted])
    ]
    return np.stack(columns, axis=1)


def zero_shot_score(benchmark: Benchmark, counts: np.ndarray) -> ZeroShotScore:
    """The scores as HSNet computes them, of the counts [N, 2, 3] of all episodes.

    Counts are summed over the episodes of a class. mIoU is the mean of the classes' IoU, FB-IoU
    the mean of the IoU of background and foreground, each pooled over the classes.
    """
    by_class = np.zeros((len(benchmark.names), *COUNTS), np.int64)
    np.add.at(by_class, [episode.label for episode in benchmark.episodes], counts)
    iou = _iou(by_class[:, 1])
    return ZeroShotScore(
        100 * float(iou.mean()),
        100 * float(_iou(by_class.sum(0)).mean()),
        {name: 100 * float(value) for name, value in zip(benchmark.names, iou)},
    )


@torch.inference_mode()
def _answer(model: LSeg, episode: Episode, name: str) -> np.ndarray:
    """0 where the image shows something else, 1 where it shows the class, uint8 [480, 480]."""
    if SIDE % model.stride:
        raise ValueError(
            f'the benchmark needs {SIDE} x {SIDE} pixels, which are no multiple of '
            f'{model.stride}, as the network {model.name} wants them'
        )
    picture = read_picture(episode.image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = model.normalise(torch.from_numpy(np.array(picture))[None]).to(model.dtype)
    logits = model(pixels, model.encode_text([BACKGROUND, name]))
    return logits[0].argmax(0).byte().cpu().numpy()


def _iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of counts [..., 3]; 0 where there is neither."""
    intersection, answered, true = np.moveaxis(counts, -1, 0)
    return intersection / np.maximum(answered + true - intersection, 1)
