# SPDX-License-Identifier: Apache-2.0
"""Frames of RGB-D cameras in bags: topics are found, and messages matched by their stamps."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import PERIOD_NS, START_NS, camera_info, image, new, rgbd_topics, write_bag
from map_bag import tf
from rosbags import rosbag1
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lseg_ros.mapping.rgbd_bag import CameraTopics, RgbdBag
from lseg_ros.media.bags import TF_MESSAGE, BagError

CAMERA = CameraTopics('/camera/image_raw', '/camera/depth', '/camera/camera_info')


def frames_of(path, camera=None):
    with RgbdBag(path) as bag:
        return [*bag.frames([camera or bag.camera()])], bag.drops


def stamp(index):
    return START_NS + index * PERIOD_NS


@pytest.mark.parametrize('ahead', [2, 0, -3])
def test_frames_have_the_depth_and_calibration_of_their_stamp(tmp_path, ahead):
    topics = rgbd_topics(12)
    depths = topics['/camera/depth']
    topics['/camera/depth'] = depths[ahead:] if ahead >= 0 else [depths[0]] * -ahead + depths
    for index, info in enumerate(topics['/camera/camera_info']):
        info.k[0] = 100.0 + index
    frames, drops = frames_of(write_bag(tmp_path / 'bag', topics))
    missing = max(0, ahead)  # depth of the first images was never recorded
    assert [frame.stamp_ns for frame in frames if frame] == [stamp(index) for index in range(missing, 12)]
    for index, frame in enumerate(frames[missing:], missing):
        assert (frame.depth == 1000 + index).all() and frame.info.k[0] == 100.0 + index
        assert frame.frame_id == 'camera_optical' and frame.image.shape == (40, 60, 3)
    assert drops == ({'no depth of the time of the image': missing} if missing else {})


def test_calibration_that_is_sent_once_serves_all(tmp_path):
    topics = rgbd_topics(12) | {'/camera/camera_info': [camera_info(0, 60, 40)]}
    frames, drops = frames_of(write_bag(tmp_path / 'bag', topics))
    assert len(frames) == 12 and None not in frames and not drops


def test_aligned_depth_is_told_by_its_size_and_frame(tmp_path):
    topics = rgbd_topics()
    infrared = image(0, np.ones((40, 60), np.uint16), '16UC1')
    infrared.header.frame_id = 'infrared'
    topics['/raw_depth'] = [infrared]
    topics['/small_depth'] = [image(0, np.ones((20, 30), np.uint16), '16UC1')]
    with RgbdBag(write_bag(tmp_path / 'bag', topics)) as bag:
        assert bag.camera() == CAMERA
        assert bag.camera(depth='/raw_depth').depth == '/raw_depth'


def test_several_that_fit_are_named(tmp_path):
    topics = rgbd_topics()
    topics['/other/depth'] = topics['/camera/depth']
    several = 'several topics have depth.*/camera/depth .*/other/depth .*--depth'
    with RgbdBag(write_bag(tmp_path / 'bag', topics)) as bag, pytest.raises(BagError, match=several):
        bag.camera()


def test_camera_info_elsewhere_is_told_by_its_size_and_frame(tmp_path):
    topics = rgbd_topics()
    topics['/elsewhere/info'] = topics.pop('/camera/camera_info')
    topics['/small/info'] = [camera_info(0, 30, 20)]
    with RgbdBag(write_bag(tmp_path / 'bag', topics)) as bag:
        assert bag.camera().info == '/elsewhere/info'


def test_ros_1_bag_is_read_alike(tmp_path):
    types = get_typestore(Stores.ROS1_NOETIC)
    types.register(get_types_from_msg('geometry_msgs/TransformStamped[] transforms', TF_MESSAGE))
    topics = rgbd_topics() | {'/tf': [_transforms()]}
    with rosbag1.Writer(tmp_path / 'drive.bag') as writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, messages[0].__msgtype__, typestore=types)
            for index, message in enumerate(messages):
                data = types.serialize_ros1(_as_in_ros1(message, types), message.__msgtype__)
                writer.write(connection, stamp(index), data)
    frames, drops = frames_of(tmp_path / 'drive.bag')
    assert len(frames) == 3 and not drops
    assert frames[0].info.k[0] == 100.0 and frames[0].depth[0, 0] == 1000
    with RgbdBag(tmp_path / 'drive.bag') as bag:
        assert bag.transforms().frames == ('camera', 'map')  # without the slash of old names


def test_frame_that_two_robots_move_is_refused_with_the_topics(tmp_path):
    pose = np.eye(4)
    topics = rgbd_topics() | {'/robot1/tf': [tf('map', 'base', pose, 0)], '/robot2/tf': [tf('map', 'base', pose, 1)]}
    reason = 'frame base moves by /robot[12]/tf and by /robot[12]/tf'
    with RgbdBag(write_bag(tmp_path / 'bag', topics)) as bag, pytest.raises(BagError, match=reason):
        bag.transforms()


def _transforms():
    zero = dict.fromkeys('xyz', 0.0)
    transform = new(
        'geometry_msgs/msg/Transform',
        translation=new('geometry_msgs/msg/Vector3', **zero),
        rotation=new('geometry_msgs/msg/Quaternion', **zero, w=1.0),
    )
    head = camera_info(0, 1, 1).header
    head.frame_id = '/map'
    stamped = new('geometry_msgs/msg/TransformStamped', header=head, child_frame_id='/camera', transform=transform)
    return new(TF_MESSAGE, transforms=[stamped])


def _as_in_ros1(message, types):
    """Return a message with the field names of ROS 1, and with numbers in its headers."""
    if not hasattr(message, '__msgtype__'):
        return message
    kind = types.types[message.__msgtype__]
    values = {}
    for name, _ in types.fielddefs[message.__msgtype__][1]:
        value = 0 if name == 'seq' else getattr(message, name, None)
        value = getattr(message, name.lower()) if value is None else value
        values[name] = (
            [_as_in_ros1(each, types) for each in value] if isinstance(value, list) else _as_in_ros1(value, types)
        )
    return kind(**values)
