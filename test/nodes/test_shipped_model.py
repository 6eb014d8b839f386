# SPDX-License-Identifier: Apache-2.0
"""The node with the shipped model on the recorded drive."""

from __future__ import annotations

import numpy as np
import pytest
from harness import ids_of

from lseg_lab.evaluation.drive_truth import DriveTruth
from lseg_ros.media.sources import open_source

FLAT = ['floor=floor|rug', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'sofa', 'bed', 'cabinet']
TRUTH = DriveTruth()
CLASSES = TRUTH.classes


@pytest.fixture
def client(start):
    client = start(model='lseg-lite', backend='auto', labels=FLAT)
    client.listen('lseg/label_image')
    client.listen_to_tables()
    assert client.configure()
    assert client.activate()
    return client


@pytest.fixture(scope='module')
def shots():
    """Every twentieth picture of the drive with its number."""
    return [(number, shot.image) for number, shot in enumerate(open_source('drive')) if number % 20 == 0]


def true_floor(number):
    """Return the pixels a robot can drive on in a picture of the drive: floor and rugs."""
    return np.isin(TRUTH.mask(number), [CLASSES.index(name) for name in ('floor', 'rug')])


@pytest.mark.slow
def test_finds_the_floor_of_the_recorded_drive(client, shots):
    found = total = 0
    for number, image in shots:
        floor = ids_of(client.segment_frame(image)) == 1
        truth = true_floor(number)
        found += (floor & truth).sum()
        total += (floor | truth).sum()
    assert found / total > 0.8


@pytest.mark.slow
def test_new_name_selects_the_same_pixels(client, shots):
    image = shots[0][1]
    before = ids_of(client.segment_frame(image)) == 1
    answer = client.set_labels(['ground=ground|rug', 'wall', 'ceiling', 'furniture'])
    ids = {entry.name: entry.id for entry in answer.label_set.classes}
    after = ids_of(client.segment_frame(image)) == ids['ground']
    assert (before & after).sum() > 0.7 * before.sum() > 0


@pytest.mark.slow
def test_no_mask_has_an_id_missing_from_its_table_while_labels_change(client, shots):
    for labels, (_, image) in zip((['cat'], ['rug', 'ground'], FLAT, ['wall']), shots):
        client.send(image)
        answer = client.set_labels(labels)
        assert answer.success
        client.segment_frame(image)
    client.assert_ids_are_in_their_tables()


@pytest.mark.slow
def test_query_finds_objects_that_the_labels_do_not_name(client, shots):
    assert client.set_labels(['floor', 'wall', 'ceiling']).success
    number, image = shots[0]
    truth = TRUTH.mask(number)
    client.segment_frame(image)
    answer = client.query(['sofa', 'door'])
    for prompt, u, v in zip(('sofa', 'door'), answer.peak_u, answer.peak_v):
        assert CLASSES[truth[v, u]] == prompt
