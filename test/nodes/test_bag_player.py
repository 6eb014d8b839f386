# SPDX-License-Identifier: Apache-2.0
"""``lseg bag``: a bag replayed over real topics, into the real node."""
from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from bags import (PERIOD_NS, START_NS, TRANSPORT_NS, camera_info, compressed, image, pictures,
                  rgbd_topics, write_bag)
from harness import TIMEOUT_S, Client, running, stamp_of
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from lseg_ros.media.bags import BagError, BagReader
from lseg_ros.nodes.bag_player import ONE_CAMERA, BagPlayer, BagTopics

STAMPS = [START_NS + index * PERIOD_NS for index in range(3)]


@contextmanager
def playing(context, path, namespace, cameras=ONE_CAMERA, **options):
    """Play a bag in a thread; yields the thread."""
    with BagReader(path) as bag:
        player = BagPlayer(bag, cameras, context=context, namespace=namespace, **options)
        thread = threading.Thread(target=player.play)
        thread.start()
        try:
            yield thread
        finally:
            player.stop()
            thread.join()
            player.destroy_node()


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_bag_goes_through_the_real_node_with_its_stamps(
        active, ros_context, tmp_path, storage):
    client = active(labels=['floor'])
    write_bag(tmp_path / 'run', rgbd_topics(3), storage)
    with playing(ros_context, tmp_path / 'run', client.get_namespace(), loop=True, rate=4.0):
        client.wait_for(lambda: set(STAMPS) <= {
            stamp_of(message) for message in client.received['lseg/label_image']},
            'a label image for each picture of the bag')


def test_rgbd_bag_is_replayed_byte_for_byte(ros_context, tmp_path):
    write_bag(tmp_path / 'run', rgbd_topics(3))
    client = Client(ros_context, '/rgbd')
    for topic, kind in (('image', Image), ('depth', Image), ('camera_info', CameraInfo)):
        client.listen(topic, kind)
    with running(ros_context, client), playing(ros_context, tmp_path / 'run', '/rgbd', loop=True,
                                               rate=10.0):
        for topic in ('image', 'depth', 'camera_info'):
            client.wait_for(lambda: {stamp_of(m) for m in client.received[topic]} == set(STAMPS),
                            topic)
    received = {stamp_of(message): message for message in client.received['image']}
    for stamp, pixels in zip(STAMPS, pictures(3)):
        assert received[stamp].header.frame_id == 'camera_optical'
        assert bytes(received[stamp].data) == pixels.tobytes()
    depth = {stamp_of(message): message for message in client.received['depth']}[STAMPS[2]]
    assert depth.encoding == '16UC1' and np.frombuffer(depth.data, '<u2')[0] == 1002
    assert client.received['camera_info'][0].k[0] == 100.0


def test_two_cameras_of_a_bag_go_through_the_node_each_with_its_depth(
        active, ros_context, tmp_path):
    topics = {topic.replace('/camera/', f'/{camera}/'): messages for camera in ('front', 'left')
              for topic, messages in rgbd_topics(3).items()}
    write_bag(tmp_path / 'run', topics | {'/other': [camera_info(0, 4, 3)]})
    client = active(labels=['floor'], cameras=['front', 'left'])
    for camera in ('front', 'left'):
        client.listen(f'lseg/{camera}/points', PointCloud2)
    cameras = {camera: BagTopics(f'/{camera}/image_raw') for camera in ('front', 'left')}
    with playing(ros_context, tmp_path / 'run', client.get_namespace(), cameras, loop=True,
                 rate=4.0):
        for topic in ('label_image', 'points'):
            for camera in cameras:
                client.wait_for(lambda: set(STAMPS) <= {
                    stamp_of(message) for message in client.received[f'lseg/{camera}/{topic}']},
                    f'{topic} of {camera} for each picture of the bag')


@pytest.mark.parametrize('period_ns, rate', [(PERIOD_NS, 0.25), (100 * 10**9, 1000.0)])
def test_rate_scales_the_time_between_images(ros_context, tmp_path, period_ns, rate):
    write_bag(tmp_path / 'run', {'/image': rgbd_topics(3)['/camera/image_raw']},
              period_ns=period_ns)
    client = Client(ros_context, f'/rate{int(rate)}')
    client.listen('image', Image)
    started = time.monotonic()
    with running(ros_context, client), playing(
            ros_context, tmp_path / 'run', client.get_namespace(), rate=rate) as thread:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()  # 200 s at rate 1
        client.wait_for(lambda: len(client.received['image']) == 3, 'three images')
    assert time.monotonic() - started >= 2 * period_ns / 1e9 / rate


def test_clock_runs_with_the_recording(ros_context, tmp_path):
    write_bag(tmp_path / 'run', rgbd_topics(3))
    client = Client(ros_context, '/clocked')
    client.listen('/clock', Clock)
    client.listen('image', Image)
    with running(ros_context, client), playing(
            ros_context, tmp_path / 'run', '/clocked', clock=True, loop=True):
        end = STAMPS[2] + TRANSPORT_NS
        client.wait_for(lambda: any(Time.from_msg(message.clock).nanoseconds == end
                                    for message in client.received['/clock']), 'the end')
    times = {Time.from_msg(message.clock).nanoseconds for message in client.received['/clock']}
    assert min(times) >= STAMPS[0] + TRANSPORT_NS and max(times) == end
    assert len(times) > 5  # between the images, too


def test_compressed_images_are_replayed_as_such(ros_context, tmp_path):
    write_bag(tmp_path / 'run', {'/cam/image/compressed': [compressed(0, b'abc', 'jpeg')],
                                 '/cam/camera_info': [camera_info(0, 4, 3)]})
    client = Client(ros_context, '/packed')
    client.listen('image/compressed', CompressedImage)
    client.listen('camera_info', CameraInfo)
    with running(ros_context, client), playing(ros_context, tmp_path / 'run', '/packed',
                                               loop=True):
        for topic in ('image/compressed', 'camera_info'):
            client.wait_for(lambda: client.received[topic], topic)
    assert bytes(client.received['image/compressed'][0].data) == b'abc'


def test_topics_that_are_not_there_are_refused(ros_context, tmp_path):
    write_bag(tmp_path / 'run', {'/a': [image(0, pictures(1)[0])], '/b': [
        image(0, pictures(1)[0])]})
    with BagReader(tmp_path / 'run') as bag:
        for topics, reason in ((BagTopics(), 'several image topics'),
                               (BagTopics('/c'), 'no image topic /c'),
                               (BagTopics('/a', depth='/d'), 'no depth topic /d')):
            with pytest.raises(BagError, match=reason):
                BagPlayer(bag, {'': topics}, context=ros_context)


@pytest.mark.parametrize('arguments, reason', [
    (['nothing'], 'nothing'),
    (['run', '--rate', '0'], 'rate must be above 0'),
    (['run', '--topic', '/x'], 'no image topic /x; it has /camera/camera_info'),
    (['run', '--topic', 'a=/camera/image_raw', '--topic', 'a=/b'], 'for the same camera already'),
    (['run', '--topic', 'a=/camera/image_raw', '--topic', 'b=/camera/image_raw'],
     'asked for twice'),
    (['run', '--depth-topic', 'left=/camera/depth'], "no --topic is for camera 'left'"),
    (['old.bag'], 'ROS 1 bag'),
])
def test_command_tells_an_error_in_one_line(tmp_path, arguments, reason):
    write_bag(tmp_path / 'run', rgbd_topics(1))
    program = 'import sys; from lseg_ros.cli import main; sys.exit(main(["bag", *sys.argv[1:]]))'
    process = subprocess.run(
        [sys.executable, '-c', program, *arguments, '--ros-args', '-r', '__ns:=/x'],
        cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert process.stderr.startswith('lseg: error: ') and reason in process.stderr
    assert process.stderr.count('\n') == 1
