# SPDX-License-Identifier: Apache-2.0
"""Embeddings that would spoil the map are refused, and it is said why."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from test_camera_info import camera_info

from lseg_ros.msg import Embedding
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.map.frame_views import FrameViews
from lseg_ros.nodes.map.map_inputs import CameraFrame

VECTORS = np.full((2, 3, 4), 0.5, '<f2')


def frame(**changes):
    """Return a frame of 12 x 8 pixels, with changes to its embedding."""
    fields = {
        'header': Header(frame_id='camera'), 'model': 'tiny-4', 'image_height': 8, 'image_width': 12, 'height': 2,
        'width': 3, 'dim': 4, 'first_x': 2.0, 'first_y': 2.0, 'step_x': 4.0, 'step_y': 4.0, 'colors': bytes(18),
        'data': VECTORS.tobytes(),
    }  # fmt: skip
    depth = array_to_image(np.full((8, 12), 1000, np.uint16), '16UC1', Header())
    info = camera_info(width=12, height=8, cx=6.0, cy=4.0, d=[0.0] * 5)
    return CameraFrame(Embedding(**fields | changes), depth, info, TransformStamped())


def test_sound_embedding_is_viewed():
    view = FrameViews(rectified=False).view(frame())
    assert np.array_equal(view.vectors, VECTORS) and (view.depth == 1.0).all() and np.isfinite(view.rays).all()


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'model': ''}, 'has no model'),
        ({'data': np.full((2, 3, 4), np.nan, '<f2').tobytes()}, 'not finite'),
        ({'data': np.array([*23 * [1], np.inf], '<f2').tobytes()}, 'not finite'),
        ({'step_x': float('nan')}, 'has places at'),
        ({'first_y': float('inf')}, 'has places at'),
        ({'step_y': 0.0}, 'has places at'),
        ({'dim': 5}, '24 numbers'),
        ({'colors': bytes(17)}, '17 bytes'),
    ],
)
def test_embedding_that_would_spoil_the_map_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        FrameViews(rectified=False).view(frame(**changes))
