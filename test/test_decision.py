# SPDX-License-Identifier: Apache-2.0
"""Both ways to find the class whose interpolated score is highest."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lseg_ros.core.decision import decide, decide_by_planes, decide_by_seams

IDS = torch.tensor([7, 0, 3, 254, 9], dtype=torch.uint8)


def random_scores(height, width, classes=5):
    """Return smooth scores in which every class wins somewhere."""
    coarse = torch.rand(1, classes, 5, 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (height, width), mode='bicubic')[0].mul(8).softmax(0)


def plainly(scores, size, step):
    """Enlarge every class, then compare."""
    scale = [1 / part for part in step]
    planes = torch.ops.aten.upsample_bilinear2d(scores[None], size, False, *scale)[0]
    best, winner = planes.max(0)
    return IDS[winner], best


@pytest.mark.parametrize('way', [decide, decide_by_seams, decide_by_planes])
@pytest.mark.parametrize(
    'size, step',
    [
        ((160, 192), (0.125, 0.125)),
        ((173, 201), (0.1, 0.117)),
        ((20, 24), (1.0, 1.0)),
        ((31, 9), (0.6, 2.5)),
        ((7, 5), (2.6, 4.7)),
        ((1, 1), (20.0, 24.0)),
        ((1, 300), (1.0, 0.07)),
    ],
)
def test_every_way_finds_the_best_interpolated_score(way, size, step):
    scores = random_scores(20, 24)
    ids, best = way(scores, IDS, size, step)
    expected_ids, expected_best = plainly(scores, size, step)
    assert ids.dtype == torch.uint8 and ids.shape == best.shape == size
    torch.testing.assert_close(best, expected_best, atol=1e-5, rtol=0)
    assert (ids != expected_ids).sum() <= 1e-4 * ids.numel()


def test_a_class_between_two_others_is_found_there():
    scores = torch.zeros(5, 1, 3)
    scores[0, 0, 0], scores[1, 0, 2] = 0.6, 0.6
    scores[2] = 0.4  # best only in the middle, not on the grid
    ids, _ = decide(scores, IDS, (1, 300), (1.0, 0.01))
    assert np.unique(ids).tolist() == [0, 3, 7]


def test_many_classes_take_bounded_memory_and_lose_nothing():
    scores = random_scores(16, 16, classes=200)
    names = torch.arange(200, dtype=torch.uint8)
    ids, _ = decide_by_planes(scores, names, (128, 128), (0.125, 0.125))
    other, _ = decide_by_seams(scores, names, (128, 128), (0.125, 0.125))
    assert (ids != other).float().mean() < 1e-4 and len(ids.unique()) > 5
