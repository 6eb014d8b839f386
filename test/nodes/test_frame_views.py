# SPDX-License-Identifier: Apache-2.0
"""Embeddings and label images that would spoil the map are refused, and it is said why."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from test_camera_info import camera_info

from lseg_ros.labels import LabelRegistry
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
    return placed(Embedding(**fields | changes))


def placed(image, labels=None):
    """Return a frame of an embedding or label image."""
    depth = array_to_image(np.full((8, 12), 1000, np.uint16), '16UC1', Header())
    info = camera_info(width=12, height=8, cx=6.0, cy=4.0, d=[0.0] * 5)
    return CameraFrame(image, labels, depth, info, TransformStamped())


def test_sound_embedding_is_viewed():
    view = FrameViews(rectified=False, label_step=4).view(frame())
    assert np.array_equal(view.vectors, VECTORS) and (view.depth == 1.0).all() and np.isfinite(view.rays).all()


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'model': ''}, 'has no model'),
        ({'data': np.full((2, 3, 4), np.nan, '<f2').tobytes()}, 'length nan, but all must be unit vectors'),
        ({'data': np.array([*20 * [0.5], 0, 0, 0, np.inf], '<f2').tobytes()}, 'length inf, but all'),
        ({'data': np.array([*20 * [0.5], 0, 0, 0, 6e4], '<f2').tobytes()}, r'length 6e\+04, but all'),
        ({'data': np.array([*20 * [0.5], 0, 0, 0, 0.9], '<f2').tobytes()}, 'length 0.9, but all'),
        ({'data': bytes(48)}, 'length 0, but all'),
        ({'step_x': float('nan')}, 'has places at'),
        ({'step_x': float('inf')}, 'has places at'),
        ({'first_y': float('inf')}, 'has places at'),
        ({'step_y': 0.0}, 'has places at'),
        ({'first_x': -9.0}, 'not within its image of 12 x 8 pixels'),
        ({'step_x': 15.0}, 'not within its image'),
        ({'dim': 5}, '24 numbers'),
        ({'colors': bytes(17)}, '17 bytes'),
    ],
)
def test_embedding_that_would_spoil_the_map_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        FrameViews(rectified=False, label_step=4).view(frame(**changes))


def test_label_image_is_viewed_in_the_colours_of_its_labels():
    labels = LabelRegistry().replace(['floor', 'door'])
    ids = np.repeat(np.array([0, 1, 2], np.uint8), 4)[None].repeat(8, 0)
    view = FrameViews(rectified=False, label_step=4).view(placed(array_to_image(ids, 'mono8', Header()), labels))
    assert view.vectors[:, :, 0].tolist() == [[0, 1, 2]] * 2
    assert np.array_equal(view.colors[0], [label.color for label in labels.classes])


def test_label_image_of_another_encoding_or_size_is_refused():
    for pixels, encoding, reason in (
        (np.zeros((8, 12, 3), np.uint8), 'rgb8', "label image of encoding 'rgb8': use one of mono8, 8UC1"),
        (np.zeros((4, 12), np.uint8), 'mono8', 'camera_info is for 12 x 8 pixels, but the image has 12 x 4'),
    ):
        with pytest.raises(ValueError, match=reason):
            FrameViews(rectified=False, label_step=4).view(placed(array_to_image(pixels, encoding, Header())))
