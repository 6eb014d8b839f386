# SPDX-License-Identifier: Apache-2.0
"""The map node beside a real segmentation node: what it maps, answers, keeps and refuses."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from geometry_msgs.msg import TransformStamped
from harness import LATCHED, PICTURE, TIMEOUT_S, running
from nav_msgs.msg import OccupancyGrid
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from sensor_msgs_py.point_cloud2 import dtype_from_fields
from std_msgs.msg import Header
from test_camera_info import camera_info
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray

from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts
from lseg_ros.mapping.map_files import MapFacts, read_map, write_map
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.label_messages import label_set_from_message
from lseg_ros.nodes.map.map_node import MapNode
from lseg_ros.srv import MapFile, QueryMap, SetLabels

INFO = {'fx': 60.0, 'fy': 55.0, 'cx': 31.0, 'cy': 23.0, 'width': 64, 'height': 48, 'd': [0.0] * 5}
WALL_M = 2.0


class Robot:
    """A robot that looks at a wall: its camera, its transforms, and calls to its map node."""

    def __init__(self, client, map_node):
        self.client = client
        self.map_node = map_node
        node = client.node
        self._depth = node.create_publisher(Image, 'depth', qos_profile_sensor_data)
        self._info = node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
        self._transforms = TransformBroadcaster(node)
        self.frame = 'map'
        self.depth = np.full((48, 64), int(1000 * WALL_M), np.uint16)
        self.quaternion = [0.5, -0.5, 0.5, -0.5]  # of a camera that looks along x, as x y z w
        client.listen('lseg_map/voxels', PointCloud2, LATCHED)
        client.listen('lseg_map/grid', OccupancyGrid, LATCHED)
        client.listen('lseg_map/objects', Detection3DArray, LATCHED)

    def look(self):
        """Send one frame, with depth, calibration and transform."""
        stamp_ns = self.client.node.get_clock().now().nanoseconds
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id='camera_optical')
        transform = TransformStamped(header=Header(stamp=header.stamp, frame_id=self.frame))
        transform.child_frame_id = 'camera_optical'
        turn = transform.transform.rotation
        turn.x, turn.y, turn.z, turn.w = self.quaternion
        transform.transform.translation.z = 1.0
        self._transforms.sendTransform(transform)
        self._info.publish(camera_info(header=header, **INFO))
        self._depth.publish(array_to_image(self.depth, '16UC1', header))
        self.client.send(PICTURE, stamp_ns)

    def status(self):
        """Return level, message and values of the last diagnostics of the map."""
        found = [each for each in self.client.statuses() if each[0].name.endswith('lseg_map: map')]
        return (found[-1][0].message, found[-1][1]) if found else ('', {})

    def look_until(self, condition, what):
        """Send frames until the diagnostics of the map meet a condition."""

        def met():
            self.look()
            self.client.soon(lambda: False, 0.1)
            return condition(*self.status())

        self.client.poll(met, what)

    def call(self, kind, name, **fields):
        """Call a service of the map node and return its response."""
        service = self.client.node.create_client(kind, f'lseg_map/{name}')
        assert service.wait_for_service(TIMEOUT_S)
        return service.call(kind.Request(**fields), TIMEOUT_S)


@pytest.fixture
def robot(active, ros_context):
    """A function that starts both nodes and returns the robot; the map node is active."""
    with _robots(active, ros_context) as start:
        yield start


@contextmanager
def _robots(active, context):
    with ExitStack() as stack:

        def start(**parameters):
            client = active(labels=['floor', 'door'], embedding_stride=1)
            overrides = [Parameter(name, value=value) for name, value in parameters.items()]
            node = MapNode(
                context=context, namespace=client.namespace, enable_rosout=False, parameter_overrides=overrides
            )
            stack.enter_context(running(node, node.close))
            robot = Robot(client, node)
            assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
            return robot

        yield start


def points_of(cloud):
    return np.frombuffer(cloud.data, dtype_from_fields(cloud.fields))


def classes_of(objects):
    return {each.results[0].hypothesis.class_id for each in objects.detections}


def test_frames_become_voxels_that_are_labelled_published_and_found(robot):
    flat = robot(publish_rate=20.0, voxel_size=0.15)  # the vectors lie 0.13 m apart
    client = flat.client
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 3, 'integrated frames')
    voxels = client.wait_for(lambda: client.received['lseg_map/voxels'], 'voxels')[-1]
    points = points_of(voxels)
    assert voxels.header.frame_id == 'map'
    assert len(points) > 100 and np.abs(points['x'] - WALL_M).max() < 0.1
    assert points['z'].min() > 0.0 and points['z'].max() < 2.0  # the camera is one metre up
    table = {entry.id for entry in client.received['lseg/label_set'][-1].classes}
    client.wait_for(
        lambda: set(points_of(client.received['lseg_map/voxels'][-1])['label']) <= table, 'voxels with labels'
    )
    assert client.wait_for(lambda: client.received['lseg_map/grid'], 'a grid')[-1].info.width > 0
    objects = client.wait_for(lambda: client.received['lseg_map/objects'], 'objects')[-1]
    assert classes_of(objects) and classes_of(objects) <= {'other', 'floor', 'door'}
    assert (objects.header.frame_id, voxels.header.stamp.sec > 0) == ('map', True)

    answer = flat.call(QueryMap, 'query_map', prompts=['exit sign', 'cat'], top_k=2, minimum_score=0.01)
    assert answer.success, answer.message
    assert answer.header.frame_id == 'map'
    assert {each.prompt for each in answer.answers} == {'exit sign', 'cat'}
    for each in answer.answers:
        assert abs(each.center.x - WALL_M) < 0.1 and each.points >= 8
        assert not each.has_pose and 'no free ground' in each.reason

    changed = flat.call(SetLabels, 'set_labels', labels=['sofa', 'lamp'])
    assert changed.success, changed.message
    assert [entry.name for entry in changed.label_set.classes] == ['other', 'sofa', 'lamp']
    client.wait_for(
        lambda: classes_of(client.received['lseg_map/objects'][-1]) & {'sofa', 'lamp'}, 'objects under the new labels'
    )
    assert classes_of(client.received['lseg_map/objects'][-1]) <= {'other', 'sofa', 'lamp'}


@pytest.mark.slow
def test_map_is_saved_loaded_and_refused_if_it_is_of_another_model(robot, tmp_path):
    flat = robot(map_file=str(tmp_path / 'flat.safetensors'))
    assert 'the map is empty' in flat.call(MapFile, 'save_map').message
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 1, 'an integrated frame')
    saved = flat.call(MapFile, 'save_map')
    assert saved.success and saved.voxels > 100, saved.message
    loaded = flat.call(MapFile, 'load_map')
    assert loaded.success and loaded.voxels == saved.voxels, loaded.message
    voxels, facts = read_map(tmp_path / 'flat.safetensors')
    other = tmp_path / 'other'
    write_map(other, voxels, MapFacts('other-model', facts.voxel_size))
    refused = flat.call(MapFile, 'load_map', path=str(other))
    assert not refused.success
    assert 'other-model' in refused.message and facts.model in refused.message
    other.write_bytes(other.read_bytes()[:500])
    assert 'cut short' in flat.call(MapFile, 'load_map', path=str(other)).message
    missing = flat.call(MapFile, 'save_map', path='/proc/no/map')
    assert not missing.success and '/proc/no' in missing.message
    assert int(flat.status()[1]['voxels']) > 100


@pytest.mark.slow
@pytest.mark.parametrize(
    'change, reason',
    [
        ({'frame': 'odom'}, 'no transform: LookupException'),
        ({'depth': np.full((20, 20), 2000, np.uint16)}, 'bad depth'),
    ],
)
def test_frames_that_cannot_be_placed_are_counted_and_said(robot, change, reason):
    flat = robot(tf_timeout=0.2)
    for name, value in change.items():
        setattr(flat, name, value)
    flat.look_until(lambda _, values: int(values.get(f'dropped: {reason}', 0)) > 0, reason)
    assert flat.status()[1]['frames integrated'] == '0'
    flat.frame, flat.depth = 'map', np.full((48, 64), 2000, np.uint16)
    flat.look_until(lambda message, _: message == 'mapping', 'mapping after all')


@pytest.mark.slow
def test_requests_without_a_map_or_with_bad_prompts_are_refused(robot):
    flat = robot()
    for fields, reason in (
        ({'prompts': []}, '0 prompts'),
        ({'prompts': [' ']}, "' ' is empty"),
        ({'prompts': ['cat'], 'minimum_score': 2.0}, 'minimum_score must be 0 to 1'),
        ({'prompts': ['cat']}, 'the map'),
    ):
        answer = flat.call(QueryMap, 'query_map', **fields)
        assert not answer.success and reason in answer.message
    assert "unknown mode 'add'" in flat.call(SetLabels, 'set_labels', labels=['cat'], mode='add').message
    assert "'cat'" in flat.call(SetLabels, 'set_labels', labels=['cat', 'cat']).message
    flat.map_node.trigger_deactivate()
    flat.map_node.trigger_cleanup()
    assert 'configure the node first' in flat.call(QueryMap, 'query_map', prompts=['cat']).message


@pytest.mark.slow
def test_heights_that_contradict_each_other_are_refused(robot):
    (result,) = robot().map_node.set_parameters([Parameter('obstacle_low', value=0.7)])
    assert not result.successful and '0.7 and 0.6' in result.reason


@pytest.mark.slow
def test_labels_of_another_model_label_nothing(robot):
    flat = robot(publish_rate=20.0)
    labels = label_set_from_message(flat.client.wait_for(lambda: flat.client.received['lseg/label_set'], 'labels')[-1])
    texts = EncodedTexts(torch.zeros(3, 4), 1.0, 'other-model')
    flat.map_node._registry = LabelRegistry()  # its own labels, which no others replace
    worker = flat.map_node._worker
    worker.run(lambda: worker.set_labels(EncodedLabels(labels, texts))).result()
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 1, 'an integrated frame')
    voxels = flat.client.wait_for(lambda: flat.client.received['lseg_map/voxels'], 'voxels')[-1]
    assert set(points_of(voxels)['label']) == {UNLABELLED}
    assert 'the model is other-model' in flat.call(QueryMap, 'query_map', prompts=['cat']).message
