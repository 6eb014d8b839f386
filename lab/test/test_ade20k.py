# SPDX-License-Identifier: Apache-2.0
"""The ADE20K benchmark on single-colour pictures."""

from functools import partial

import numpy as np
import pytest
import torch
from benchmark_data import ALONE, RedNetwork, mask
from PIL import Image

from lseg_lab.evaluation import benchmarks
from lseg_lab.evaluation.ade20k import ade20k_names
from lseg_lab.evaluation.multiscale import MultiScaleEvaluator
from lseg_lab.evaluation.tally import Counting


class ColourNetwork(RedNetwork):
    """Assigns a colour to each ADE20K label; of two equal labels the first one wins."""

    def encode_text(self, prompts):
        return torch.tensor([ade_colour(prompts.index(prompt)) for prompt in prompts]) / 255

    def forward(self, pixels, text):
        mean, std = (torch.tensor(value)[:, None, None] for value in (self.mean, self.std))
        colours = pixels * std + mean
        return -(colours[:, None] - text[None, :, :, None, None]).abs().sum(2)


def ade_colour(index):
    return [51 * (index // 36), 51 * (index // 6 % 6), 51 * (index % 6)]


def test_ade20k_labels():
    full, truncated = ade20k_names('full'), ade20k_names('truncated')
    assert len(full) == len(truncated) == 150 and len(set(full)) == 150
    assert (full[0], full[58], full[64], full[130], full[149]) == (
        'wall',
        'screen door',
        'coffee table',
        'screen',
        'flag',
    )
    assert truncated[64] == 'coffee' and len(set(truncated)) == 149
    assert [i for i, name in enumerate(truncated) if name == 'screen'] == [58, 130]


def test_ade20k_scores(tmp_path, monkeypatch):
    """Pictures show wall, coffee table and screen; mask value 0 is not counted."""
    root = tmp_path / 'ADEChallengeData2016'
    walls = np.zeros((40, 30), np.uint8)
    walls[:20], walls[20:30] = 1, 2
    for name, index, values in (('a', 0, walls), ('b', 64, np.full((40, 30), 65)), ('c', 130, np.full((40, 30), 131))):
        path = root / 'images' / 'validation' / f'{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (30, 40), tuple(ade_colour(index))).save(path, 'PNG')
        mask(root / 'annotations' / 'validation' / f'{name}.png', values)
    small = partial(MultiScaleEvaluator, base=32, crop=32, scales=(1.0, 1.5))
    monkeypatch.setattr(benchmarks, 'MultiScaleEvaluator', small)
    report = benchmarks.evaluate_ade20k(
        tmp_path, ['truncated', 'full'], ColourNetwork, 1, Counting(ALONE, tmp_path / 'state')
    )
    wall = 600 / 900
    # the truncated labels contain 'screen' twice: the first, the screen door, wins
    assert report.rows == {
        'red, truncated labels': {
            'pixel acc.': pytest.approx(100 * 1800 / 3300),
            'mIoU': pytest.approx(100 * (wall + 1) / 150),
        },
        'red, full labels': {
            'pixel acc.': pytest.approx(100 * 3000 / 3300),
            'mIoU': pytest.approx(100 * (wall + 2) / 150),
        },
    }
    assert dict(report.iou['full'])['wall'] == pytest.approx(100 * wall)
