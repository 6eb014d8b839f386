# SPDX-License-Identifier: Apache-2.0
"""Labelled point clouds from depth, camera info and images over real topics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time as TimeMessage
from diagnostic_msgs.msg import DiagnosticStatus
from harness import LATCHED, PICTURE, ids_of, stamp_of
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from sensor_msgs_py.point_cloud2 import dtype_from_fields
from std_msgs.msg import Header
from test_camera_info import camera_info

from lseg_ros.core.cloud import POINT
from lseg_ros.core.depth_matcher import OPEN
from lseg_ros.labels.colors import class_color
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.nodes.camera_info import KEPT
from lseg_ros.nodes.conversions import array_to_image

DISTANCE_M = 2.0
INFO = {'fx': 60.0, 'fy': 55.0, 'cx': 31.0, 'cy': 23.0, 'width': 64, 'height': 48, 'd': [0.0] * 5}
LABELS = ['floor', 'door']
MS, SECOND = 10**6, 10**9


class DepthCamera:
    """Sends depth of a wall at two metres and camera info along with a client's pictures."""

    def __init__(self, client, **info):
        self._client = client
        self._depth = client.node.create_publisher(Image, 'depth', qos_profile_sensor_data)
        self._info = client.node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
        self.info = camera_info(**INFO | info)
        self.depth_frame = 'camera_optical'
        self.depth_mm = np.full((48, 64), 1000 * DISTANCE_M, np.uint16)
        client.listen('lseg/points', PointCloud2)
        client.wait_for_links('lseg/points')
        client.poll(lambda: self._depth.get_subscription_count(), 'the node to want depth')

    def send_info(self):
        if self.info is not None:
            self._info.publish(self.info)

    def send_depth(self, stamp_ns):
        self.send_depth_stamped(Time(nanoseconds=stamp_ns).to_msg())

    def send_depth_stamped(self, stamp):
        header = Header(stamp=stamp, frame_id=self.depth_frame)
        self._depth.publish(array_to_image(self.depth_mm, '16UC1', header))

    def shoot(self, offset_ns=0):
        """Send camera info, image and depth stamped `offset_ns` later; return the image's stamp."""
        self.send_info()
        stamp = self._client.send()
        self.send_depth(stamp + offset_ns)
        return stamp

    def cloud(self, shoot=None):
        """Send until a cloud arrives; return the latest."""

        def arrive():
            (shoot or self.shoot)()
            return self._client.soon(lambda: self._client.received['lseg/points'])

        return self._client.poll(arrive, 'points')[-1]

    def cloud_at(self, stamp_ns):
        """Send the picture and depth of a stamp until its cloud arrives."""

        def arrive():
            self.send_depth(stamp_ns)
            self._client.send(stamp_ns=stamp_ns)
            return self._client.soon(lambda: stamp_ns in map(stamp_of, self._client.received['lseg/points']))

        self._client.poll(arrive, 'points of the stamp')

    def wait_for_problem(self, text, shoot=None):
        """Send until the diagnostics report `text`; return their values."""

        def is_reported():
            (shoot or self.shoot)()
            for _, values in self._client.statuses(-3):
                if text in values.get('last geometry problem', ''):
                    return values
            self._client.soon(lambda: False, 0.1)
            return None

        return self._client.poll(is_reported, text)


def points_of(message):
    assert dtype_from_fields(message.fields) == POINT
    assert message.row_step == message.width * message.point_step
    return np.frombuffer(message.data, POINT).reshape(message.height, message.width)


def colors_of(points):
    """Return the RGB of points as integers, [h, w, 3]."""
    packed = points['rgb'].copy().view('<u4')
    return np.stack([packed >> shift & 255 for shift in (16, 8, 0)], axis=-1)


def test_cloud_is_the_label_image_projected_into_space(active):
    client = active(labels=LABELS)
    message = DepthCamera(client).cloud()
    label_image = client.wait_for_header('lseg/label_image', message.header)
    assert message.header.frame_id == 'camera_optical'
    assert (message.height, message.width, message.is_dense) == (48, 64, False)
    points = points_of(message)
    rows, columns = np.mgrid[:48, :64]
    assert points['z'] == pytest.approx(DISTANCE_M)
    assert points['x'] == pytest.approx(DISTANCE_M * (columns - 31.0) / 60.0, abs=1e-5)
    assert points['y'] == pytest.approx(DISTANCE_M * (rows - 23.0) / 55.0, abs=1e-5)
    assert np.array_equal(points['label'], ids_of(label_image))
    assert 0 < points['confidence'].max() <= 1


def test_camera_info_that_was_latched_before_the_node_came_is_taken_on_request(start):
    override = 'qos_overrides./latched/camera_info.subscription'
    wanted = {f'{override}.reliability': 'reliable', f'{override}.durability': 'transient_local'}
    client = start(labels=LABELS, namespace='/latched', **wanted)
    latched = client.node.create_publisher(CameraInfo, 'camera_info', LATCHED)
    latched.publish(camera_info(**INFO))
    assert client.configure() and client.activate()
    camera = DepthCamera(client)
    camera.info = None
    assert points_of(camera.cloud())['z'] == pytest.approx(DISTANCE_M)


def test_depth_and_camera_info_of_another_frame_are_said_until_they_are_mended(active):
    """They may have the size of the image without being aligned to it."""
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    camera.depth_frame = 'depth_optical'
    camera.info.header.frame_id = 'left_optical'
    camera.cloud()
    status, _ = client.wait_for_status(lambda status, _: 'frame' in status.message, 'word of the frames')
    assert status.level == DiagnosticStatus.WARN
    assert status.message == (
        "segmenting, but depth is in frame 'depth_optical' and camera_info is in frame 'left_optical', but the image "
        "in 'camera_optical': are they aligned?"
    )
    camera.depth_frame = camera.info.header.frame_id = '/camera_optical'
    client.forget()
    camera.cloud()
    client.wait_for_status(lambda status, _: status.message == 'segmenting', 'nothing amiss')


def test_points_have_the_colours_of_their_classes_or_of_the_image(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    confidence = float(np.median(points_of(camera.cloud())['confidence']))
    assert client.set_parameter('confidence_threshold', confidence).successful

    def cloud_with_unlabelled_points():
        cloud = camera.cloud()
        return cloud if UNLABELLED in points_of(cloud)['label'] else None

    points = points_of(client.poll(cloud_with_unlabelled_points, 'unlabelled points'))
    assert len(np.unique(points['label'])) > 1
    palette = np.array([class_color(class_id) for class_id in range(256)])
    assert np.array_equal(colors_of(points), palette[points['label']])
    assert client.set_parameter('points_color', 'image').successful
    client.poll(lambda: np.array_equal(colors_of(points_of(camera.cloud())), PICTURE), 'colours of the image')
    assert 'class' in client.set_parameter('points_color', 'red').reason


@pytest.mark.slow
def test_cloud_has_the_size_of_the_label_image_thinned_by_the_stride(active):
    client = active(labels=LABELS, output_size=[32, 12], points_stride=2)
    message = DepthCamera(client).cloud()
    points = points_of(message)
    assert points.shape == (6, 16)
    assert np.array_equal(colors_of(points)[0, 0], class_color(points['label'][0, 0]))
    assert np.array_equal(points['label'], ids_of(client.wait_for_header('lseg/label_image', message.header))[::2, ::2])
    # Column 2 of 32 samples column 5 of 64; row 2 of 12 samples row 10 of 48.
    assert points['x'][0, 1] == pytest.approx(DISTANCE_M * (5 - 31.0) / 60.0)
    assert points['y'][1, 0] == pytest.approx(DISTANCE_M * (10 - 23.0) / 55.0)


@pytest.mark.slow
def test_rectified_images_use_the_projection_matrix(active):
    client = active(labels=LABELS, rectified=True)
    p = [30.0, 0.0, 20.0, 0.0, 0.0, 30.0, 20.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    points = points_of(DepthCamera(client, p=p, d=[0.5] * 5).cloud())
    assert points['x'][0, 0] == pytest.approx(DISTANCE_M * -20.0 / 30.0)


@pytest.mark.slow
def test_cloud_of_a_fisheye_follows_its_model(active):
    client = active(labels=LABELS)
    info = {'fx': 40.0, 'fy': 40.0, 'd': [0.0] * 4, 'distortion_model': 'equidistant'}
    points = points_of(DepthCamera(client, **info).cloud())
    angles = (np.arange(64) - 31.0) / 40.0
    assert points['x'][23] == pytest.approx(DISTANCE_M * np.tan(angles), abs=1e-5)


@pytest.mark.slow
def test_invalid_float_depth_becomes_nan(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    metres = np.full((48, 64), DISTANCE_M, np.float32)
    metres[0, :4] = np.nan, -1.0, 0.0, np.inf

    def shoot():
        camera.send_info()
        header = Header(stamp=Time(nanoseconds=client.send()).to_msg())
        message = array_to_image(metres.view(np.uint16)[:, ::2], '16UC1', header)
        message.encoding, message.step = '32FC1', 4 * 64
        message.data = metres.tobytes()
        camera._depth.publish(message)

    points = points_of(camera.cloud(shoot))
    assert np.isnan(points['z'][0, :4]).all() and np.isnan(points['x'][0, :4]).all()
    assert np.isfinite(points['z'].ravel()[4:]).all()
    assert camera.wait_for_problem('depth is negative in 1 pixels', shoot)


@pytest.mark.slow
def test_depth_that_arrives_after_the_label_image_yields_one_cloud(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    camera.cloud()  # camera info has arrived
    stamps = [stamp_of(client.segment_frame()) for _ in range(2)]

    def late():
        for stamp in stamps:
            camera.send_depth(stamp)
        return client.soon(lambda: set(stamps) <= set(map(stamp_of, client.received['lseg/points'])))

    client.poll(late, 'the points of both images')
    clouds = [stamp_of(message) for message in client.received['lseg/points']]
    assert len(clouds) == len(set(clouds))


@pytest.mark.slow
def test_points_that_wait_for_depth_are_not_sent_under_a_later_table(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    camera.cloud()  # camera info has arrived
    waiting = stamp_of(client.segment_frame(stamp_ns=100 * SECOND))
    client.segment_frame(stamp_ns=50 * SECOND)  # time ran back, so the new table is stamped before what waits
    assert client.set_labels(['wall']).success
    camera.send_depth(waiting)
    camera.cloud_at(60 * SECOND)
    assert waiting not in map(stamp_of, client.received['lseg/points'])
    client.wait_for(lambda: client.reported('last geometry problem', lambda text: 'ran back' in text), 'the reason')


@pytest.mark.slow
def test_image_without_depth_is_forgotten_before_its_stamp_comes_again(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    camera.cloud()  # camera info has arrived
    first_round = stamp_of(client.segment_frame(stamp_ns=100 * SECOND))
    for number in range(OPEN):
        camera.cloud_at((101 + number) * SECOND)
    table = client.set_labels(['wall']).label_set
    assert table.classes
    camera.cloud_at(first_round)
    clouds = [each for each in client.received['lseg/points'] if stamp_of(each) == first_round]
    ids = {entry.id for entry in table.classes}
    assert all(set(np.unique(points_of(cloud)['label'])) <= ids for cloud in clouds)


@pytest.mark.slow
@pytest.mark.parametrize('offset_ns, key', [(-400 * MS, 'depth late'), (400 * MS, 'depth early')])
def test_depth_beyond_the_slop_yields_no_cloud_and_is_counted(active, offset_ns, key):
    client = active(labels=LABELS)
    camera = DepthCamera(client)

    def counted():
        for _ in range(OPEN + 1):
            stamp = camera.shoot(offset_ns)
            client.soon(lambda: stamp in map(stamp_of, client.received['lseg/label_image']))
        return client.reported(key, lambda count: int(count) > 0)

    client.poll(counted, key)
    assert not client.received['lseg/points']
    assert client.set_parameter('depth_slop', 0.5).successful
    camera.cloud(lambda: camera.shoot(offset_ns))


@pytest.mark.slow
def test_misaligned_depth_is_refused_and_the_next_one_is_used(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    good, camera.depth_mm = camera.depth_mm, np.ones((24, 32), np.uint16)
    values = camera.wait_for_problem('depth has 32 x 24 pixels, but the image has 64 x 48')
    assert int(values['depth unusable']) > 0
    assert not client.received['lseg/points']
    camera.depth_mm = good
    camera.cloud()


@pytest.mark.slow
def test_depth_with_an_invalid_stamp_is_refused_and_the_next_one_is_used(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    values = camera.wait_for_problem('depth: the stamp, -5 s', lambda: camera.send_depth_stamped(TimeMessage(sec=-5)))
    assert int(values['depth unusable']) > 0
    camera.cloud()


@pytest.mark.slow
@pytest.mark.parametrize(
    'info, reason',
    [
        ({'fx': 0.0}, 'focal lengths 0 and 55'),
        ({'cx': 500.0}, 'K of camera_info does not match its size'),
        ({'width': 640, 'height': 480}, 'for 640 x 480 pixels, but the image has 64 x 48'),
        ({'d': [0.1] * 4, 'distortion_model': 'omni'}, "distortion model 'omni'"),
        (None, 'points need camera_info'),
    ],
)
def test_invalid_camera_info_yields_no_cloud_and_is_reported(active, info, reason):
    client = active(labels=LABELS)
    camera = DepthCamera(client, **info or {})
    if info is None:
        camera.info = None
    values = camera.wait_for_problem(reason)
    assert int(values['camera infos bad']) > 0
    assert not client.received['lseg/points']
    camera.info = camera_info(**INFO)
    camera.cloud()


@pytest.mark.slow
def test_points_without_depth_are_reported(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    camera.wait_for_problem('points need depth', lambda: (camera.send_info(), client.segment_frame()))


@pytest.mark.slow
def test_bag_that_restarts_yields_clouds_again_and_is_counted(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    late = 10**15

    def shoot_late():
        camera.send_info()
        client.send(stamp_ns=late)
        camera.send_depth(late)

    assert stamp_of(camera.cloud(shoot_late)) == late
    del client.received['lseg/points'][:]
    client.poll(lambda: stamp_of(camera.cloud()) < late, 'a cloud of the second round')
    client.wait_for_status(lambda _, values: int(values['stamps running back']) > 0, 'the jump')


@pytest.mark.slow
def test_query_returns_the_position_of_the_peak(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)

    def find():
        camera.cloud()
        answer = client.query(['exit sign'])
        return answer if np.isfinite(answer.peak_point[0].z) else None

    answer = client.poll(find, 'a place')
    (point,) = answer.peak_point
    assert point.z == pytest.approx(DISTANCE_M)
    assert point.x == pytest.approx(DISTANCE_M * (answer.peak_u[0] - 31.0) / 60.0)
    assert point.y == pytest.approx(DISTANCE_M * (answer.peak_v[0] - 23.0) / 55.0)


@pytest.mark.slow
def test_query_uses_the_camera_info_of_its_image_though_a_later_one_has_arrived(active):
    client = active(labels=LABELS)
    camera = DepthCamera(client)

    def find():
        (point,) = client.query(['exit sign']).peak_point
        return None if math.isnan(point.z) else point

    point = client.poll(lambda: camera.cloud() and find(), 'a place')
    camera.info = camera_info(**INFO | {'fx': 120.0, 'fy': 110.0})
    for _ in range(KEPT + 1):
        camera.send_info()
        assert find() == point


@pytest.mark.slow
def test_failure_to_compute_points_once_their_depth_arrives_is_reported(active, monkeypatch):
    client = active(labels=LABELS)
    camera = DepthCamera(client)
    camera.cloud()
    monkeypatch.setattr('lseg_ros.nodes.segmentation.camera_geometry.labelled_points', lambda *_: 1 / 0)

    def is_reported():
        stamp = client.send()
        client.soon(lambda: any(stamp_of(each) == stamp for each in client.received['lseg/label_image']))
        camera.send_depth(stamp)
        return client.reported('last problem', lambda text: 'ZeroDivisionError' in text)

    client.poll(is_reported, 'the failure in the diagnostics')
