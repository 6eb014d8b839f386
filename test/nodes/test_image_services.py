# SPDX-License-Identifier: Apache-2.0
"""The services for single images: ~/segment and ~/query, beside the stream."""

from __future__ import annotations

import numpy as np
import pytest
from harness import PICTURE, TIMEOUT_S, ids_of, stamp_of
from lifecycle_msgs.msg import Transition
from std_msgs.msg import Header

from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.segmentation.image_services import QUEUE_LIMIT
from lseg_ros.srv import SegmentImage

LABELS = ['floor', 'door']
HEADER = Header(frame_id='gripper_camera')
HEADER.stamp.sec = 77


def picture_message(pixels=PICTURE):
    return array_to_image(pixels, 'rgb8', HEADER)


def names_by_id(table):
    return {entry.id: entry.name for entry in table.classes}


@pytest.fixture
def inactive(start):
    client = start(labels=LABELS)
    assert client.configure()
    return client


def test_inactive_node_segments_an_image_under_the_requested_labels(inactive):
    picture = np.ascontiguousarray(PICTURE[:31, :45])
    answer = inactive.segment(picture_message(picture), ['door', 'cat=cat|kitten'])
    assert answer.success, answer.message
    assert names_by_id(answer.label_set) == {0: 'other', 2: 'door', 3: 'cat'}
    assert stamp_of(answer.label_set) == 77 * 10**9
    for message in (answer.label_image, answer.confidence):
        assert message.header == HEADER
        assert (message.encoding, message.height, message.width, message.step) == ('mono8', 31, 45, 45)
    assert set(np.unique(ids_of(answer.label_image))) <= {0, 2, 3}


@pytest.mark.slow
def test_without_labels_the_result_equals_that_of_the_stream(active):
    client = active(labels=LABELS)
    answer = client.segment(picture_message())
    assert names_by_id(answer.label_set) == {0: 'other', 1: 'floor', 2: 'door'}
    assert np.array_equal(ids_of(answer.label_image), ids_of(client.segment_frame()))


@pytest.mark.slow
def test_segmenting_on_demand_leaves_labels_ids_and_tables_of_the_stream_unchanged(active):
    client = active(labels=LABELS)
    tables = len(client.received['lseg/label_set'])
    assert client.segment(picture_message(), ['cat', 'dog']).success
    assert set(np.unique(ids_of(client.segment_frame()))) <= {0, 1, 2}
    assert len(client.received['lseg/label_set']) == tables
    added = client.set_labels(['bird'], 'add')
    assert names_by_id(added.label_set) == {0: 'other', 1: 'floor', 2: 'door', 3: 'bird'}


@pytest.mark.slow
def test_unusable_image_or_label_is_refused_with_the_reason(inactive):
    bad_image = picture_message()
    bad_image.encoding = 'klingon8'
    for image, labels, reason in ((bad_image, [], 'klingon8'), (picture_message(), ['cat', 'cat'], "'cat'")):
        answer = inactive.segment(image, labels)
        assert not answer.success
        assert reason in answer.message
    assert inactive.segment(picture_message()).success


@pytest.mark.slow
def test_services_are_refused_while_there_is_no_model(start):
    client = start(labels=LABELS)
    for answer in (client.segment(picture_message()), client.query(['cat'])):
        assert not answer.success
        assert 'configure the node first' in answer.message
    assert client.configure()
    assert client.segment(picture_message()).success
    assert client.change_state(Transition.TRANSITION_CLEANUP)
    assert not client.segment(picture_message()).success


@pytest.mark.slow
def test_requests_beyond_the_queue_are_refused_and_the_stream_goes_on(active):
    client = active(labels=LABELS)
    service = client.node.create_client(SegmentImage, 'lseg/segment')
    assert service.wait_for_service(TIMEOUT_S)
    request = SegmentImage.Request(image=picture_message(np.zeros((480, 640, 3), np.uint8)))
    frames = len(client.received['lseg/label_image'])
    answers = [service.call_async(request) for _ in range(2 * QUEUE_LIMIT)]
    client.segment_frame()
    assert len(client.received['lseg/label_image']) > frames
    client.poll(lambda: all(answer.done() for answer in answers), 'all answers')
    refused = [answer.result().message for answer in answers if not answer.result().success]
    assert QUEUE_LIMIT <= len(answers) - len(refused) < len(answers)
    assert all(message.startswith('busy') for message in refused)
    assert client.segment(picture_message()).success


def test_query_searches_the_last_image_of_a_camera_whatever_the_labels(active):
    client = active(labels=LABELS, cameras=['front', 'left'])
    for camera, size in (('front', (48, 64)), ('left', (30, 50))):
        picture = np.ascontiguousarray(PICTURE[: size[0], : size[1]])
        label_image = client.segment_frame(picture, camera=camera)
        answer = client.query(['exit sign', 'floor'], camera)
        assert answer.success, answer.message
        assert answer.header.frame_id == f'{camera}_optical'
        assert stamp_of(answer) >= stamp_of(label_image)
        for i, message in enumerate(answer.relevance):
            relevance = ids_of(message)
            assert (message.header, relevance.shape) == (answer.header, size)
            peak = relevance[answer.peak_v[i], answer.peak_u[i]]
            assert peak == relevance.max() == round(255 * answer.peak_relevance[i])
            assert np.isnan([answer.peak_point[i].x, answer.peak_point[i].z]).all()
    assert client.query(['cat']).header.frame_id == 'front_optical'
    assert set(np.unique(ids_of(client.segment_frame(camera='front')))) <= {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    'prompts, camera, reason',
    [
        ([], '', 'no prompts'),
        (['cat', ' '], '', "' ' is empty"),
        (['cat'], 'rear', "no camera 'rear'"),
        (['x' * 300], '', '300 characters'),
        ([f'thing {number}' for number in range(40)], '', '40 prompts'),
    ],
)
def test_invalid_query_is_refused_with_the_reason(active, prompts, camera, reason):
    answer = active(labels=LABELS).query(prompts, camera)
    assert not answer.success
    assert reason in answer.message


@pytest.mark.slow
def test_query_before_the_first_image_is_refused(inactive):
    answer = inactive.query(['cat'])
    assert not answer.success
    assert 'no image of the camera' in answer.message
