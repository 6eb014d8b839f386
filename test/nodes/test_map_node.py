# SPDX-License-Identifier: Apache-2.0
"""The map node beside a real segmentation node: what it maps, answers, keeps and refuses."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time as TimeMessage
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from harness import LATCHED, PICTURE, TIMEOUT_S, running
from limited_disk import FULL, room
from nav_msgs.msg import OccupancyGrid
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from sensor_msgs_py.point_cloud2 import dtype_from_fields
from std_msgs.msg import Header
from test_camera_info import camera_info
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts
from lseg_ros.mapping.map_files import MapFacts, read_map, write_map
from lseg_ros.msg import Embedding
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
        self._static = StaticTransformBroadcaster(node)
        self.frame = 'map'
        self.offset_s = 0  # of the clock
        self.has_stamps = True
        self.depth_frame = 'camera_optical'
        self.is_late = False  # whether transforms come after the next frame
        self._held: list[TransformStamped] = []
        self.depth = np.full((48, 64), int(1000 * WALL_M), np.uint16)
        self.other_tree = False  # whether the map exists, but in a tree of its own
        self.quaternion = [0.5, -0.5, 0.5, -0.5]  # of a camera that looks along x, as x y z w
        client.listen('lseg_map/voxels', PointCloud2, LATCHED)
        client.listen('lseg_map/grid', OccupancyGrid, LATCHED)
        client.listen('lseg_map/objects', Detection3DArray, LATCHED)
        client.listen('lseg_map/object_markers', MarkerArray, LATCHED)

    def look(self):
        """Send one frame, with depth, calibration and transform."""
        stamp_ns = self.client.node.get_clock().now().nanoseconds + self.offset_s * 10**9 if self.has_stamps else 0
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id='camera_optical')
        transform = TransformStamped(header=Header(stamp=header.stamp, frame_id=self.frame))
        transform.child_frame_id = 'camera_optical'
        turn = transform.transform.rotation
        turn.x, turn.y, turn.z, turn.w = self.quaternion
        if self.other_tree:
            self._static.sendTransform(_fixed('map', 'kitchen'))
        transform.transform.translation.z = 1.0
        self._held.append(transform)
        if not self.is_late or len(self._held) > 1:
            self._transforms.sendTransform(self._held.pop(0))
        self._info.publish(camera_info(header=header, **INFO))
        depth_header = Header(stamp=header.stamp, frame_id=self.depth_frame)
        self._depth.publish(array_to_image(self.depth, '16UC1', depth_header))
        self.client.send(PICTURE, stamp_ns)

    def status(self):
        """Return level, message and values of the last diagnostics of the map."""
        found = [each for each in self.client.statuses() if each[0].name.endswith('lseg_map: map')]
        return (found[-1][0].message, found[-1][1]) if found else ('', {})

    def levels(self, message):
        """Return the levels of all diagnostics of the map that began with a message so far."""
        named = [each for each, _ in self.client.statuses() if each.name.endswith('lseg_map: map')]
        return {each.level for each in named if each.message.startswith(message)}

    def look_until(self, condition, what):
        """Send frames until the diagnostics of the map meet a condition."""

        def met():
            self.look()
            self.client.soon(lambda: False, 0.1)
            return condition(*self.status())

        try:
            self.client.poll(met, what)
        except AssertionError as error:
            raise AssertionError(f'{error}; the last diagnostics: {self.status()}') from None

    def call(self, kind, name, **fields):
        """Call a service of the map node and return its response."""
        service = self.client.node.create_client(kind, f'lseg_map/{name}')
        assert service.wait_for_service(TIMEOUT_S)
        return service.call(kind.Request(**fields), TIMEOUT_S)


def _fixed(parent, child):
    """Return a transform that changes nothing."""
    transform = TransformStamped(header=Header(frame_id=parent), child_frame_id=child)
    transform.transform.rotation.w = 1.0
    return transform


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
    deletion, *markers = client.wait_for(lambda: client.received['lseg_map/object_markers'], 'markers')[-1].markers
    assert deletion.action == Marker.DELETEALL
    assert {marker.text for marker in markers} <= {'', 'other', 'floor', 'door'} and any(each.text for each in markers)
    assert all(marker.header.frame_id == 'map' and min(marker.color.a, marker.scale.z) > 0 for marker in markers)
    assert all(marker.frame_locked and marker.header.stamp == TimeMessage() for marker in markers)
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
    with room(1000):
        assert FULL in flat.call(MapFile, 'save_map', path=str(tmp_path / 'full')).message
    missing = flat.call(MapFile, 'save_map', path='/proc/no/map')
    assert not missing.success and '/proc/no' in missing.message
    assert int(flat.status()[1]['voxels']) > 100
    flat.map_node.trigger_deactivate()  # a frame that is added after the file would have the last word
    before = flat.client.node.get_clock().now()
    assert flat.call(MapFile, 'load_map').success
    answer = flat.call(QueryMap, 'query_map', prompts=['exit sign'])
    assert Time.from_msg(answer.header.stamp) >= before  # tf has forgotten the time of the last frame in it


@pytest.mark.slow
@pytest.mark.parametrize(
    'change, reason',
    [
        ({'frame': 'odom'}, 'no transform: LookupException'),
        ({'quaternion': [math.nan] * 4}, 'no transform: LookupException'),
        ({'frame': 'odom', 'other_tree': True}, 'no transform: ConnectivityException'),
        ({'depth': np.full((20, 20), 2000, np.uint16)}, 'bad depth'),
        ({'has_stamps': False}, 'no stamp'),
    ],
)
def test_frames_that_cannot_be_placed_are_counted_and_said(robot, change, reason):
    flat = robot(tf_timeout=0.2)
    good = {name: getattr(flat, name) for name in change}
    for name, value in change.items():
        setattr(flat, name, value)
    flat.look_until(lambda _, values: int(values.get(f'dropped: {reason}', 0)) > 0, reason)
    assert flat.status()[1]['frames integrated'] == '0'
    for name, value in good.items():
        setattr(flat, name, value)
    flat.look_until(lambda message, _: message == 'mapping', 'mapping after all')
    for name, value in change.items():
        setattr(flat, name, value)
    # The reason may be another one for a camera that has had a place in the map before.
    failed = ('not mapping: no transform', 'not mapping: bad depth', 'not mapping: no stamp')
    flat.look_until(lambda message, _: message.startswith(failed), 'word of the failure')
    assert flat.levels(failed) == {DiagnosticStatus.WARN}


@pytest.mark.slow
def test_simulated_clock_that_nobody_sends_does_not_stop_the_map_and_is_said(robot):
    flat = robot(use_sim_time=True)
    flat.depth_frame = 'depth_optical'  # which is said, too
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) > 0, 'integrated frames')
    flat.look_until(lambda message, _: message.startswith('mapping, but depth is in frame'), 'word of the frame')
    assert flat.status()[0].endswith('; use_sim_time is true, but nothing has sent /clock')


def test_quality_of_service_of_inputs_is_that_of_the_parameters(ros_context):
    override = 'qos_overrides./choosy/camera_info.subscription'
    wanted = {f'{override}.reliability': 'reliable', f'{override}.durability': 'transient_local'}
    overrides = [Parameter(name, value=value) for name, value in wanted.items()]
    node = MapNode(context=ros_context, namespace='/choosy', enable_rosout=False, parameter_overrides=overrides)
    with running(node, node.close):
        for _ in range(2):
            assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
            (info,) = node.get_subscriptions_info_by_topic('/choosy/camera_info')
            assert info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            (depth,) = node.get_subscriptions_info_by_topic('/choosy/depth')
            assert depth.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
            node.trigger_deactivate()
            node.trigger_cleanup()


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
    assert (
        'top_k must be 0 to 20, not 4000000000'
        in flat.call(QueryMap, 'query_map', prompts=['cat'], top_k=4_000_000_000).message
    )
    assert "unknown mode 'append'" in flat.call(SetLabels, 'set_labels', labels=['cat'], mode='append').message
    assert "'cat'" in flat.call(SetLabels, 'set_labels', labels=['cat', 'cat']).message
    flat.map_node.trigger_deactivate()
    flat.map_node.trigger_cleanup()
    assert 'configure the node first' in flat.call(QueryMap, 'query_map', prompts=['cat']).message


@pytest.mark.slow
def test_heights_that_contradict_each_other_are_refused(robot):
    (result,) = robot().map_node.set_parameters([Parameter('obstacle_low', value=0.7)])
    assert not result.successful and '0.7 and 0.6' in result.reason


@pytest.mark.slow
def test_camera_names_are_checked_when_they_are_set(robot):
    node = robot().map_node
    node.trigger_deactivate()
    node.trigger_cleanup()
    (result,) = node.set_parameters([Parameter('cameras', value=['front', 'front'])])
    assert not result.successful and "'front' is listed twice" in result.reason


@pytest.mark.slow
def test_labels_of_another_model_label_nothing(robot):
    flat = robot(publish_rate=20.0)
    labels = label_set_from_message(flat.client.wait_for(lambda: flat.client.received['lseg/label_set'], 'labels')[-1])
    texts = EncodedTexts(torch.zeros(3, 4), 1.0, 'other-model')
    own = flat.map_node._session.labels
    own._registry, own._wanted = LabelRegistry(), None  # its own labels, which no others replace
    worker = flat.map_node._session.worker
    worker.run(lambda: worker.set_labels(EncodedLabels(labels, texts))).result()
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 1, 'an integrated frame')
    voxels = flat.client.wait_for(lambda: flat.client.received['lseg_map/voxels'], 'voxels')[-1]
    assert set(points_of(voxels)['label']) == {UNLABELLED}
    assert 'the model is other-model' in flat.call(QueryMap, 'query_map', prompts=['cat']).message


@pytest.mark.slow
def test_labels_are_added_and_removed_and_keep_their_ids(robot):
    flat = robot()
    flat.client.wait_for(lambda: flat.client.received['lseg/label_set'], 'labels')

    def change(mode, *labels):
        answer = flat.client.poll(
            lambda: (result := flat.call(SetLabels, 'set_labels', labels=labels, mode=mode)).success and result, mode
        )
        return {entry.name: entry.id for entry in answer.label_set.classes}

    before = {entry.name: entry.id for entry in flat.client.received['lseg/label_set'][-1].classes}
    added = change('add', 'sofa=sofa|couch')
    assert added == before | {'sofa': added['sofa']} and added['sofa'] not in before.values()
    assert change('remove', 'floor') == {name: added[name] for name in ('other', 'door', 'sofa')}
    refused = flat.call(SetLabels, 'set_labels', labels=['floor'], mode='remove')
    assert not refused.success and "'floor' is not in the set" in refused.message
    assert change('replace', 'lamp', 'floor') == {'other': 0, 'lamp': 4, 'floor': added['floor']}


@pytest.mark.slow
def test_transforms_may_come_late(robot):
    flat = robot(tf_timeout=10.0)
    flat.is_late = True
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 3, 'integrated frames')
    assert not [name for name in flat.status()[1] if name.startswith('dropped: no transform')]


@pytest.mark.slow
def test_mapping_goes_on_and_the_map_is_kept_after_the_clock_was_set_back(robot):
    flat = robot(voxel_size=0.15)
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 2, 'integrated frames')
    before = flat.status()[1]
    flat.offset_s = -100
    flat.look_until(
        lambda _, values: int(values['frames integrated']) >= int(before['frames integrated']) + 3, 'frames after that'
    )
    message, values = flat.status()
    assert (message, values['clock set back']) == ('mapping', '1')
    assert int(values['voxels']) >= int(before['voxels'])


@pytest.mark.slow
def test_frames_of_another_model_are_dropped_and_the_map_is_kept(robot):
    flat = robot()
    flat.client.listen('lseg/embedding', Embedding, qos_profile_sensor_data)
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 1, 'an integrated frame')
    another = flat.client.wait_for(lambda: flat.client.received['lseg/embedding'], 'an embedding')[-1]
    ours, another.model = another.model, 'other-model'
    embeddings = flat.client.node.create_publisher(Embedding, 'lseg/embedding', qos_profile_sensor_data)

    def is_refused(_, values):
        another.header.stamp = Time(nanoseconds=flat.client.last_stamp_ns).to_msg()  # of the picture just sent
        embeddings.publish(another)
        return int(values.get('dropped: another model', 0))

    flat.look_until(is_refused, 'word of the other model')
    _, values = flat.status()
    assert int(values['voxels']) > 100 and values['model'] == ours
    flat.look_until(lambda message, _: message == 'mapping', 'mapping after all')


@pytest.mark.slow
def test_changed_map_is_saved_by_itself_and_failures_are_said(robot, tmp_path):
    path = tmp_path / 'flat.safetensors'
    flat = robot(map_file=str(path), autosave_period=0.2)
    flat.look_until(lambda *_: path.exists(), 'a file')
    assert len(read_map(path)[0]) > 100
    flat.map_node.set_parameters([Parameter('map_file', value='/proc/no/map')])
    flat.look_until(
        lambda message, _: message.startswith('mapping, but map not saved: ') and '/proc/no' in message,
        'word of the failure',
    )
    assert flat.levels('mapping, but map not saved: ') == {DiagnosticStatus.WARN}
    flat.map_node.set_parameters([Parameter('map_file', value=str(path))])
    flat.look_until(lambda message, _: message == 'mapping', 'saving after all')


@pytest.mark.slow
def test_label_images_become_votes_that_answer_for_their_labels_only(robot):
    flat = robot(input='label_image', label_step=2, voxel_size=0.15, publish_rate=20.0)
    client = flat.client
    flat.look_until(lambda _, values: int(values.get('frames integrated', 0)) >= 3, 'integrated frames')
    table = {entry.id for entry in client.received['lseg/label_set'][-1].classes}
    client.wait_for(lambda: client.received['lseg_map/voxels'], 'voxels')
    client.wait_for(
        lambda: set(points_of(client.received['lseg_map/voxels'][-1])['label']) <= table, 'voxels with labels'
    )
    seen = classes_of(client.wait_for(lambda: client.received['lseg_map/objects'], 'objects')[-1])
    assert seen and seen <= {'other', 'floor', 'door'}
    answer = flat.call(QueryMap, 'query_map', prompts=[*seen], minimum_score=0.2)
    assert answer.success and {each.prompt for each in answer.answers} == seen, answer.message
    refused = flat.call(QueryMap, 'query_map', prompts=['exit sign'])
    assert not refused.success and "'exit sign' is no label of this map" in refused.message
    own = flat.call(SetLabels, 'set_labels', labels=['sofa'])
    assert not own.success and 'change them there' in own.message
    assert client.set_labels(['sofa', 'lamp']).success
    flat.look_until(
        lambda *_: classes_of(client.received['lseg_map/objects'][-1]) & {'sofa', 'lamp'}, 'objects of new labels'
    )
    assert classes_of(client.received['lseg_map/objects'][-1]) <= {'other', 'sofa', 'lamp'}
