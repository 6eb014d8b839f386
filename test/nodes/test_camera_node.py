# SPDX-License-Identifier: Apache-2.0
"""The camera node, as a process of its own, and its sources."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from harness import Client, running
from PIL import Image as Picture
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from lseg_ros.mapping.transforms import pose_matrix
from lseg_ros.media.sources import open_source
from lseg_ros.nodes.camera.camera_node import CameraNode
from lseg_ros.nodes.conversions import image_to_rgb, stamp_ns

RED, BLUE = (250, 5, 5), (5, 5, 250)
K = (100.0, 0.0, 32.0, 0.0, 110.0, 24.0, 0.0, 0.0, 1.0)


def save_picture(path, color):
    path.parent.mkdir(exist_ok=True)
    Picture.fromarray(np.full((48, 64, 3), color, np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path):
    """A folder with a red picture, a blue one, and a text file."""
    save_picture(tmp_path / 'a.png', RED)
    save_picture(tmp_path / 'b.png', BLUE)
    (tmp_path / 'notes.txt').write_text('not a picture')
    return tmp_path


def pose_at(x):
    """Return the pose, [4, 4], of a camera at (x, 0, 1) that looks along the x axis."""
    return [[0, 0, 1, x], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]]


def record(folder):
    """Write a recorded drive of two shots, 1 m and 2 m from a wall; return its folder."""
    (folder / 'depth').mkdir()
    for number, color in enumerate((RED, BLUE)):
        save_picture(folder / 'rgb' / f'{number:03}.png', color)
        depth = np.full((48, 64), 1000 * (number + 1), np.uint16)
        Picture.fromarray(depth).save(folder / 'depth' / f'{number:03}.png')
    poses = [pose_at(x) for x in (1.0, 2.0)]
    facts = {'width': 64, 'height': 48, 'K': np.reshape(K, (3, 3)).tolist(), 'poses': poses}
    (folder / 'camera.json').write_text(json.dumps(facts))
    return folder


@pytest.fixture
def recording(tmp_path):
    """The folder of a recorded drive."""
    return record(tmp_path)


PROGRAM = """
import sys
from lseg_ros.nodes.camera.camera_node import main
status = main()
sys.exit('loaded PyTorch' if 'torch' in sys.modules else status)
"""


def run_camera(*arguments):
    """Run the node as a process until it exits, without PyTorch; return the completed process."""
    command = [
        sys.executable,
        '-c',
        PROGRAM,
        '--ros-args',
        *(part for argument in arguments for part in ('-p', argument)),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def colors(source):
    return [tuple(int(value) for value in shot.image[0, 0]) for shot in source]


def test_folder_yields_its_pictures_in_order_and_skips_other_files(pictures):
    assert colors(open_source(str(pictures))) == [RED, BLUE]


def test_pattern_yields_the_matching_pictures(pictures):
    assert colors(open_source(str(pictures / 'b*'))) == [BLUE]


def test_recording_has_depth_in_millimetres_and_its_camera(recording):
    source = open_source(str(recording))
    assert source.camera.matrix == K
    assert (source.camera.width, source.camera.height) == (64, 48)
    assert [int(shot.depth_mm.max()) for shot in source] == [1000, 2000]


def test_recorded_drive_has_three_cameras_with_one_calibration():
    first = [next(iter(open_source(name))) for name in ('drive', 'drive/left', 'drive/rear')]
    assert len({shot.image.tobytes() for shot in first}) == 3
    assert len({open_source(name).camera for name in ('drive', 'drive/left', 'drive/rear')}) == 1


def test_video_yields_its_frames_each_time_it_is_iterated(tmp_path):
    cv2 = pytest.importorskip('cv2')
    path = str(tmp_path / 'clip.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for color in (RED, BLUE):
        writer.write(np.full((48, 64, 3), color[::-1], np.uint8))
    writer.release()
    source = open_source(path)
    for _ in range(2):
        assert np.allclose(colors(source), (RED, BLUE), atol=12)


@pytest.mark.parametrize('source', ['nowhere.jpg', 'no/such/folder', '*.nothing', '99'])
def test_missing_source_is_an_error_that_names_it(source):
    with pytest.raises(OSError, match=source.replace('*', r'\*')):
        open_source(source)


def test_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='no images'):
        open_source(str(tmp_path))


def test_recording_without_camera_matrix_is_an_error(recording):
    (recording / 'camera.json').write_text('{"width": 64, "height": 48}')
    with pytest.raises(ValueError, match='K'):
        open_source(str(recording))


def test_node_exits_with_0_at_the_end_of_the_source(pictures):
    camera = run_camera(f'source:={pictures}', 'loop:=false', 'rate:=50.0')
    assert camera.returncode == 0, camera.stderr


def test_node_without_its_source_fails_with_one_line():
    camera = run_camera('source:=nowhere.jpg')
    assert camera.returncode == 2
    assert 'nowhere.jpg' in camera.stderr
    assert len(camera.stderr.splitlines()) == 1


def test_node_accepts_the_bare_number_of_a_webcam():
    camera = run_camera('source:=99')
    assert camera.returncode == 2
    assert 'cannot open the webcam 99' in camera.stderr


@pytest.fixture(scope='module')
def played(tmp_path_factory, ros_context):
    """What came of a recording that is played: messages by topic and stamp, transforms by stamp."""
    client = Client(ros_context, '/drive')
    for topic, message_type in (('image', Image), ('depth', Image), ('camera_info', CameraInfo)):
        client.listen(topic, message_type, qos_profile_sensor_data)
    client.listen('/tf', TFMessage)
    source = str(record(tmp_path_factory.mktemp('recording')))
    values = {'source': source, 'frame_id': 'left', 'rate': 50.0}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    camera = CameraNode(context=ros_context, namespace='/drive', parameter_overrides=overrides)
    with running(client.node), running(camera):
        for topic in ('image', 'depth', 'camera_info', '/tf'):
            client.wait_for(lambda: len(client.received[topic]) > 5, topic)
    messages = {topic: list(client.received[topic]) for topic in ('image', 'depth', 'camera_info')}
    transforms = [each for message in client.received['/tf'] for each in message.transforms]
    messages['/tf'] = [each for each in transforms if each.child_frame_id == 'left']
    return {topic: {stamp_ns(each.header): each for each in found} for topic, found in messages.items()}


def common(played, *topics):
    """Yield the messages of these topics with one stamp: a topic may be matched after another."""
    stamps = set.intersection(*(set(played[topic]) for topic in topics))
    assert len(stamps) > 2
    for stamp in stamps:
        yield [played[topic][stamp] for topic in topics]


def is_red(image):
    return tuple(image_to_rgb(image)[0, 0]) == RED


def test_image_depth_and_camera_info_have_one_header(played):
    for image, depth, info in common(played, 'image', 'depth', 'camera_info'):
        assert image.header == depth.header == info.header and image.header.frame_id == 'left'


def test_depth_is_published_in_millimetres(played):
    for image, depth in common(played, 'image', 'depth'):
        assert (depth.encoding, depth.step) == ('16UC1', 128)
        assert np.frombuffer(depth.data, '<u2').max() == (1000 if is_red(image) else 2000)


def test_camera_info_has_the_camera_matrix_of_the_recording(played):
    for info in played['camera_info'].values():
        assert tuple(info.k) == K
        assert tuple(info.p[:3]) == K[:3] and info.p[3] == 0.0


def test_transform_is_the_pose_of_its_image(played):
    for image, transform in common(played, 'image', '/tf'):
        assert transform.header.frame_id == 'map'
        assert np.allclose(pose_matrix(transform.transform), pose_at(1.0 if is_red(image) else 2.0), atol=1e-6)
