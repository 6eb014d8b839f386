# SPDX-License-Identifier: Apache-2.0
"""Zero-shot scores: "others" against the class, in one pass at 480 x 480 per episode."""

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
# Pixels of an episode; rows: background, class; columns: intersection, predicted, true.
COUNTS = (2, 3)


@dataclass(frozen=True)
class ZeroShotScore:
    """Scores in per cent; class IoU by name."""

    mean_iou: float
    foreground_background_iou: float
    iou: dict[str, float]


def count_episode(model: LSeg, benchmark: Benchmark, episode: Episode) -> np.ndarray:
    """Segment an episode's image, resized to 480 x 480, and count pixels, int64 [2, 3].

    Raise OSError for an unreadable file, ValueError if the network does not support the size.
    """
    answer = _answer(model, episode, benchmark.names[episode.label])
    mask = torch.from_numpy(benchmark.read_truth(episode))[None, None].float()
    truth = F.interpolate(mask, (SIDE, SIDE), mode='nearest')[0, 0].byte().numpy()
    counted = truth != UNLABELLED
    columns = [
        np.bincount(values, minlength=2)
        for values in (truth[counted & (answer == truth)], answer[counted], truth[counted])
    ]
    return np.stack(columns, axis=1)


def zero_shot_score(benchmark: Benchmark, counts: np.ndarray) -> ZeroShotScore:
    """Return the scores as HSNet computes them from the counts [N, 2, 3] of all episodes.

    Counts are summed over the episodes of a class. mIoU is the mean IoU of the classes; FB-IoU is
    the mean of foreground IoU and background IoU, each pooled over the classes.
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
    """Return 1 where the image shows the class and 0 elsewhere, uint8 [480, 480]."""
    if SIDE % model.stride:
        raise ValueError(
            f'the benchmark uses {SIDE} x {SIDE} pixels, but the network {model.name} needs multiples of {model.stride}'
        )
    picture = read_picture(episode.image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = model.normalise(torch.from_numpy(np.array(picture))[None]).to(model.dtype)
    logits = model(pixels, model.encode_text([BACKGROUND, name]))
    return logits[0].argmax(0).byte().cpu().numpy()


def _iou(counts: np.ndarray) -> np.ndarray:
    """Return intersection over union of counts [..., 3]; 0 if the union is empty."""
    intersection, answered, true = np.moveaxis(counts, -1, 0)
    return intersection / np.maximum(answered + true - intersection, 1)
