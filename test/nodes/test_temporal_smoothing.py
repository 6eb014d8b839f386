# SPDX-License-Identifier: Apache-2.0
"""`temporal_smoothing` in the running node: what makes each camera's stream forget its past."""

from __future__ import annotations

import numpy as np
import pytest
from harness import PICTURE, ids_of, output, stamp_of

OTHER_PICTURE = np.ascontiguousarray(255 - PICTURE[::-1] // 3)
TENTH_NS = 10**8


def shown(client, picture, stamp_ns, camera=''):
    """Return the ids of a picture; if a message is lost it is sent again under the same stamp."""
    topic = output('label_image', camera)

    def answer():
        return next(
            (message for message in client.received[topic] if stamp_of(message) == stamp_ns), None
        )

    return ids_of(
        client.poll(
            lambda: client.send(picture, stamp_ns, camera) and client.soon(answer),
            'the label image',
        )
    )


@pytest.fixture
def smoothing(active):
    """The client of a node with two cameras; the front one has seen PICTURE for a while."""
    client = active(
        labels=['floor', 'door', 'cat', 'dog'], cameras=['front', 'left'], temporal_warp='none'
    )
    fresh = shown(client, OTHER_PICTURE, 10**12, 'front')
    assert client.set_parameter('temporal_smoothing', 0.95).successful
    first = shown(client, PICTURE, 2 * 10**12, 'front')
    assert (first != fresh).mean() > 0.02
    return client, fresh


def test_scores_of_the_frames_before_are_kept(smoothing):
    client, fresh = smoothing
    kept = shown(client, OTHER_PICTURE, 2 * 10**12 + TENTH_NS, 'front')
    assert (kept != fresh).any()


def test_each_camera_has_a_past_of_its_own(smoothing):
    client, fresh = smoothing
    alone = shown(client, OTHER_PICTURE, 2 * 10**12 + TENTH_NS, 'left')
    np.testing.assert_array_equal(alone, fresh)


@pytest.mark.parametrize('stamp_ns', [2 * 10**12 + 5 * 10**9, 10**12])
def test_jump_of_time_forgets(smoothing, stamp_ns):
    client, fresh = smoothing
    client.received[output('label_image', 'front')].clear()
    np.testing.assert_array_equal(shown(client, OTHER_PICTURE, stamp_ns, 'front'), fresh)


def test_label_change_forgets(smoothing):
    client, fresh = smoothing
    assert client.set_labels(['floor', 'door', 'cat', 'dog']).success
    after = shown(client, OTHER_PICTURE, 2 * 10**12 + TENTH_NS, 'front')
    np.testing.assert_array_equal(after, fresh)
