# SPDX-License-Identifier: Apache-2.0
"""The oracle that other tests rely on answers as `right_ids` says."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import build_oracle
from oracle_answers import right_ids

from lseg_ros.core.factory import open_segmenter
from lseg_ros.labels import LabelRegistry

REDS = np.arange(256, dtype=np.uint8)
RAMP = np.stack([REDS, REDS[::-1], np.zeros_like(REDS)], 1)[None].repeat(3, 0)


@pytest.mark.parametrize('count', [1, 2, 12, 254])
def test_every_red_gets_one_of_its_right_ids(count):
    segmenter = open_segmenter(build_oracle(), backend='eager')
    labels = LabelRegistry().replace([f'thing {number}=thing {number}|{number} things' for number in range(count)])
    (result,) = segmenter.segment([RAMP], segmenter.prepare(labels))
    right = right_ids(labels.classes)
    assert right[RAMP[..., 0], result.ids].all()
    assert not right[:, sorted(set(range(256)) - set(labels.ids))].any()
    assert right.any(1).all()
