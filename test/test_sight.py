# SPDX-License-Identifier: Apache-2.0
"""What the shipped model sees: stairs, which are dangerous, and words it was never taught."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lseg_ros.core.factory import open_segmenter
from lseg_ros.labels import LabelRegistry, read_label_file
from lseg_ros.media.images import read_image

STAIRS = Path(__file__).parent / 'data' / 'stairs'  # a render from above, not trained on


@pytest.fixture(scope='module')
def segmenter():
    return open_segmenter(device='cpu')


def masks(segmenter, image, labels):
    """The mask of each label."""
    ids = segmenter.segment([image], segmenter.prepare(labels))[0].ids
    return {entry.name: ids == entry.id for entry in labels.classes}


@pytest.mark.parametrize('name', ['navigation', 'indoor'])
def test_stairs_that_lead_down_are_stairs_and_no_floor(segmenter, name):
    file = read_label_file(name)
    found = masks(segmenter, read_image(STAIRS / 'view.jpg'), LabelRegistry().replace(file.labels, file.groups))
    truth = cv2.imread(str(STAIRS / 'stairs.png'), cv2.IMREAD_GRAYSCALE) > 0
    assert found['stairs'][truth].mean() > 0.6
    assert found['floor'][truth].mean() < 0.05


def test_cat_is_found_by_a_name_that_was_never_taught(segmenter):
    data = pytest.importorskip('skimage.data')
    labels = LabelRegistry(include_other=False).replace(['wall', 'person', 'cat', 'table', 'cup', 'dog', 'flower'])
    found = masks(segmenter, np.ascontiguousarray(data.chelsea()), labels)
    assert found['cat'].mean() > 0.45
