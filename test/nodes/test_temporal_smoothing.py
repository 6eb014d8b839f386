# SPDX-License-Identifier: Apache-2.0
"""`temporal_smoothing` in the running node: what resets the past of each camera's stream."""

from __future__ import annotations

import numpy as np
import pytest
from harness import PICTURE, ids_of, output

OTHER_PICTURE = np.ascontiguousarray(255 - PICTURE[::-1] // 3)
TENTH_NS = 10**8


def segmented(client, picture, stamp_ns, camera='front'):
    return ids_of(client.segment_frame(picture, stamp_ns, camera))


@pytest.fixture
def smoothing(active):
    """The client of a node with two cameras, smoothed scores of PICTURE on the front one."""
    client = active(labels=['floor', 'door', 'cat', 'dog'], cameras=['front', 'left'], temporal_warp='none')
    fresh = segmented(client, OTHER_PICTURE, 10**12)
    assert client.set_parameter('temporal_smoothing', 0.95).successful
    first = segmented(client, PICTURE, 2 * 10**12)
    assert (first != fresh).mean() > 0.02
    return client, fresh


def test_scores_of_earlier_frames_are_kept(smoothing):
    client, fresh = smoothing
    kept = segmented(client, OTHER_PICTURE, 2 * 10**12 + TENTH_NS)
    assert (kept != fresh).any()


@pytest.mark.slow
def test_each_camera_has_its_own_past(smoothing):
    client, fresh = smoothing
    alone = segmented(client, OTHER_PICTURE, 2 * 10**12 + TENTH_NS, 'left')
    np.testing.assert_array_equal(alone, fresh)


@pytest.mark.slow
@pytest.mark.parametrize('stamp_ns', [2 * 10**12 + 5 * 10**9, 10**12])
def test_time_jump_resets_the_past(smoothing, stamp_ns):
    client, fresh = smoothing
    client.received[output('label_image', 'front')].clear()
    np.testing.assert_array_equal(segmented(client, OTHER_PICTURE, stamp_ns), fresh)


@pytest.mark.slow
def test_label_change_resets_the_past(smoothing):
    client, fresh = smoothing
    assert client.set_labels(['floor', 'door', 'cat', 'dog']).success
    after = segmented(client, OTHER_PICTURE, 2 * 10**12 + TENTH_NS)
    np.testing.assert_array_equal(after, fresh)
