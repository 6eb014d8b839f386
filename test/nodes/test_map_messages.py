# SPDX-License-Identifier: Apache-2.0
"""The things of a map as markers."""

from __future__ import annotations

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from lseg_ros.mapping.asking import Thing
from lseg_ros.nodes.map.map_messages import BOX_ALPHA, things_to_markers


def test_thing_becomes_a_box_of_its_size_in_the_colour_of_its_label_with_its_name_in_it():
    thing = Thing(np.arange(9), np.array([1.0, -2.0, 0.5]), np.array([0.8, 0.4, 1.2]), 0.9)
    header = Header(frame_id='map')
    deletion, box, text = things_to_markers([('sofa', thing)], {'sofa': (255, 51, 0)}, header).markers
    assert deletion.action == Marker.DELETEALL
    assert (box.type, text.type, text.text) == (Marker.CUBE, Marker.TEXT_VIEW_FACING, 'sofa')
    assert (box.scale.x, box.scale.y, box.scale.z) == (0.8, 0.4, 1.2)
    color = box.color
    assert (color.r, color.g, color.b, color.a) == pytest.approx((1.0, 0.2, 0.0, BOX_ALPHA))
    for marker in (box, text):
        place = marker.pose.position
        assert (place.x, place.y, place.z) == (1.0, -2.0, 0.5) and marker.header.frame_id == 'map'
