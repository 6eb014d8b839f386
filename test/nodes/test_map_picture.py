# SPDX-License-Identifier: Apache-2.0
"""The demo's picture: the map with its answers on the left, the truth on the right."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from vision_msgs.msg import Detection3D, ObjectHypothesisWithPose

from lseg_lab.evaluation.map_truth import TrueVoxels
from lseg_ros.core.cloud import POINT
from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping.top_view import MARK_COLORS
from lseg_ros.mapping.voxel_index import cells_of, keys_of
from lseg_ros.msg import MapAnswer
from map_listener import PublishedMap
from map_picture import map_picture

SIZE_M = 0.05
NAMES = ('floor', 'sofa', 'stool')
LABELS = LabelRegistry().replace(['floor', 'sofa'])


def room():
    """Return keys and classes of a floor with a sofa and a stool on it."""
    cells = np.stack(np.meshgrid(np.arange(80), np.arange(60), [0, 1], indexing='ij'), -1).reshape(-1, 3)
    x, y, z = cells.T
    is_sofa, is_stool = (x > 50) & (y < 20), (x < 12) & (y < 12)
    kept = (z == 0) | is_sofa | is_stool
    keys = keys_of(cells[kept])
    classes = np.where(is_sofa & (z == 1), 1, np.where(is_stool & (z == 1), 2, 0))[kept]
    return keys[np.argsort(keys)], classes[np.argsort(keys)]


def share_of(picture, color):
    return (np.asarray(picture) == color).all(2).mean()


def test_answer_is_marked_on_the_left_and_the_true_things_on_the_right():
    keys, classes = room()
    truth = TrueVoxels(keys, classes, NAMES, SIZE_M)
    points = np.zeros(len(keys), POINT)
    for axis, values in zip('xyz', cells_of(keys).T):
        points[axis] = (values + 0.5) * SIZE_M
    points['label'] = np.where(classes == 1, 2, 1)
    box = {'x': 1.4, 'y': 1.0, 'z': 0.1}
    found = Detection3D(results=[ObjectHypothesisWithPose()])
    found.bbox.size = Vector3(**box)
    answer = MapAnswer(
        prompt='sofa', score=0.9, center=Point(x=3.2, y=0.5), size=Vector3(**box), has_pose=True, pose=Pose()
    )
    picture = map_picture(PublishedMap(points, [found]), LABELS, {'sofa': answer}, truth, ('sofa', 'stool', 'tent'))
    left, right = (
        picture.crop((x, 0, x + picture.width // 2, picture.height * 3 // 4)) for x in (0, picture.width // 2)
    )
    sofa, stool = MARK_COLORS[:2]
    assert share_of(left, sofa) > 0.001 and share_of(left, stool) == 0
    assert share_of(right, sofa) > 0.001 and share_of(right, stool) > 0.001
    assert share_of(left, LABELS.by_id(2).color) > 0.01  # the sofa is the highest thing: not darkened
