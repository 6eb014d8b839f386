# SPDX-License-Identifier: Apache-2.0
"""Frames that the map cannot use are counted, each by its own reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from test_frame_views import frame, placed

from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.map.map_settings import MapNodeSettings
from lseg_ros.nodes.map.map_worker import MapWorker

SHALLOW = array_to_image(np.full((2, 2), 1000, np.uint16), '16UC1', Header())
NOWHERE, FAR = (TransformStamped(transform=Transform(translation=Vector3(x=metres))) for metres in (float('nan'), 1e9))
GREY = array_to_image(np.zeros((8, 12, 3), np.uint8), 'rgb8', Header())
WIDE = frame(dim=5, data=np.full((2, 3, 5), 5**-0.5, '<f2').tobytes())


@pytest.fixture
def worker():
    """The worker of a map that has one frame."""
    worker = MapWorker(MapNodeSettings())
    worker.offer(frame(), pytest.fail)
    yield worker
    worker.close()


def offered(worker, unusable):
    """Offer a frame; return what is said about it, and the drops by reason."""
    said = []
    worker.offer(unusable, said.append)
    worker.run(lambda: None).result()
    return said, worker.drops


@pytest.mark.parametrize(
    ('unusable', 'reason'),
    [
        (frame(model='other-4'), 'another model'),
        (WIDE, 'other dimensions'),
        (frame(model=''), 'bad embedding'),
        (placed(GREY), 'bad label image'),
        (replace(frame(), info=CameraInfo(width=12, height=8)), 'bad camera_info'),
        (replace(frame(), depth=SHALLOW), 'bad depth'),
        (replace(frame(), transform=NOWHERE), 'bad pose'),
        (replace(frame(), transform=FAR), 'too far away'),
    ],
)
def test_frame_that_cannot_be_used_is_counted_by_its_reason(worker, unusable, reason):
    said, drops = offered(worker, unusable)
    assert drops == {reason: 1}
    assert len(said) == 1 and said[0].startswith('frame not used: ')
    assert worker.integrated == 1


def test_vectors_of_other_dimensions_than_the_texts_are_not_taken_for_those_of_another_model():
    texts = EncodedTexts(torch.eye(5)[:2], 15.0, 'tiny-5')
    labels = EncodedLabels(LabelRegistry().replace(['floor']), texts)
    alone = MapWorker(MapNodeSettings())
    alone.run(lambda: alone.set_labels(labels)).result()
    said, drops = offered(alone, frame(model='tiny-5'))
    alone.close()
    assert drops == {'other dimensions': 1}
    assert said == ['frame not used: vectors of 4 dimensions, but texts of tiny-5 have 5']
