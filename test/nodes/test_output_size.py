# SPDX-License-Identifier: Apache-2.0
"""The parameter output_size, which spares a resize node in front of a costmap."""

from __future__ import annotations

import numpy as np
import pytest
from harness import PICTURE, ids_of
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from test_camera_info import camera_info

from lseg_ros.nodes.conversions import array_to_image, image_to_rgb

SMALL = {'labels': ['floor', 'door'], 'output_size': [24, 20]}


def camera_info_of_the_picture(**fields):
    picture = {'fx': 60.0, 'fy': 60.0, 'cx': 31.0, 'cy': 23.0, 'width': 64, 'height': 48}
    return camera_info(**picture | fields)


def sampled(pixels, height, width):
    rows, columns = (
        np.floor((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip((height, width), pixels.shape)
    )
    return pixels[rows][:, columns]


def test_all_outputs_have_the_size_and_are_sampled_from_full_resolution(active):
    client = active(**SMALL)
    topics = ['lseg/confidence', 'lseg/masks/floor', 'lseg/overlay']
    for topic in topics:
        client.listen(topic)
    client.wait_for_links(*topics)
    full = client.segment(array_to_image(PICTURE, 'rgb8', Header()))
    assert (full.label_image.width, full.label_image.height) == (64, 48)

    def complete():
        header = client.segment_frame().header
        found = [
            client.soon(lambda topic=topic: [message for message in client.received[topic] if message.header == header])
            for topic in topics
        ]
        return all(found) and found

    (confidence,), (mask,), (overlay,) = client.poll(complete, 'all topics')
    label_image = client.received['lseg/label_image'][-1]
    for message in (label_image, confidence, mask, overlay):
        assert (message.width, message.height) == (24, 20)
    assert label_image.step == 24
    assert np.array_equal(ids_of(label_image), sampled(ids_of(full.label_image), 20, 24))
    assert np.array_equal(ids_of(confidence), sampled(ids_of(full.confidence), 20, 24))
    assert np.array_equal(ids_of(mask) == 255, ids_of(label_image) == 1)
    assert image_to_rgb(overlay).shape == (20, 24, 3)


def send_with_info(client, publisher, info):
    def arrive():
        publisher.publish(info)
        client.segment_frame()
        return client.soon(lambda: client.received['lseg/camera_info'])

    return client.poll(arrive, 'a camera info')[-1]


@pytest.mark.slow
def test_camera_info_has_size_and_header_of_the_label_image(active):
    client = active(**SMALL)
    client.listen('lseg/camera_info', CameraInfo)
    publisher = client.node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
    message = send_with_info(client, publisher, camera_info_of_the_picture())
    assert (message.width, message.height) == (24, 20)
    assert message.k[0] == 60 * 24 / 64
    assert message.k[5] == pytest.approx((23 + 0.5) * 20 / 48 - 0.5)
    headers = [label_image.header for label_image in client.received['lseg/label_image']]
    assert message.header in headers


@pytest.mark.slow
def test_camera_info_of_another_size_is_reported_and_not_published(active):
    client = active(**SMALL)
    client.listen('lseg/camera_info', CameraInfo)
    publisher = client.node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)

    def is_reported():
        publisher.publish(camera_info())
        client.segment_frame()
        return client.reported(
            'last geometry problem', lambda text: '640 x 480 pixels, but the image has 64 x 48' in text
        )

    client.poll(is_reported, 'the reason')
    assert not client.received['lseg/camera_info']
    assert send_with_info(client, publisher, camera_info_of_the_picture())


@pytest.mark.slow
def test_image_gets_the_camera_info_of_its_own_stamp(active):
    client = active()
    client.listen('lseg/camera_info', CameraInfo)
    publisher = client.node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)

    def arrives_with_its_own():
        for second, fx in ((100, 60.0), (101, 90.0)):  # a lens that zooms
            header = Header(stamp=Time(seconds=second).to_msg())
            publisher.publish(camera_info_of_the_picture(fx=fx, fy=fx, header=header))
        client.send(stamp_ns=100 * 10**9)
        return client.soon(lambda: client.received['lseg/camera_info'][-1:]) and (
            client.received['lseg/camera_info'][-1].k[0] == 60.0
        )

    client.poll(arrives_with_its_own, 'the camera info of the same stamp')
