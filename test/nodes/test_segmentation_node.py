# SPDX-License-Identifier: Apache-2.0
"""The node over real topics: its interface, its lifecycle and its outputs."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import rclpy
from harness import PICTURE, TIMEOUT_S, ids_of, stamp_of
from lifecycle_msgs.msg import Transition
from oracle import oracle_in_node
from PIL import Image as Picture
from rclpy.qos import ReliabilityPolicy, qos_profile_sensor_data
from rclpy.utilities import get_rmw_implementation_identifier
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import load
from lseg_ros.nodes.conversions import array_to_image, image_to_rgb
from lseg_ros.nodes.segmentation.outputs import Outputs
from lseg_ros.nodes.segmentation.segmentation_node import SegmentationNode
from lseg_ros.nodes.transport import PROFILE_VARIABLE

IMAGE = ['sensor_msgs/msg/Image']
LABELS = ['floor', 'door']


def own(names_and_types):
    """Leave out the topics and services that every lifecycle node has."""
    common = (
        'get_',
        'set_parameters',
        'describe_',
        'list_',
        'change_state',
        '/rosout',
        '/parameter_events',
        'transition_event',
    )
    return {name: types for name, types in names_and_types if not any(part in name for part in common)}


def test_names_and_types_of_topics_and_services_are_frozen(active):
    client = active(labels=LABELS)
    namespace = client.namespace
    node = ('lseg', namespace)
    assert own(client.node.get_publisher_names_and_types_by_node(*node)) == {
        f'{namespace}/lseg/label_image': IMAGE,
        f'{namespace}/lseg/confidence': IMAGE,
        f'{namespace}/lseg/overlay': IMAGE,
        f'{namespace}/lseg/embedding': ['lseg_ros/msg/Embedding'],
        f'{namespace}/lseg/camera_info': ['sensor_msgs/msg/CameraInfo'],
        f'{namespace}/lseg/points': ['sensor_msgs/msg/PointCloud2'],
        f'{namespace}/lseg/masks/other': IMAGE,
        f'{namespace}/lseg/masks/floor': IMAGE,
        f'{namespace}/lseg/masks/door': IMAGE,
        f'{namespace}/lseg/label_info': ['vision_msgs/msg/LabelInfo'],
        f'{namespace}/lseg/label_set': ['lseg_ros/msg/LabelSet'],
        '/diagnostics': ['diagnostic_msgs/msg/DiagnosticArray'],
    }
    assert own(client.node.get_subscriber_names_and_types_by_node(*node)) == {
        f'{namespace}/image': IMAGE,
        f'{namespace}/camera_info': ['sensor_msgs/msg/CameraInfo'],
        f'{namespace}/depth': IMAGE,
    }
    assert own(client.node.get_service_names_and_types_by_node(*node)) == {
        f'{namespace}/lseg/set_labels': ['lseg_ros/srv/SetLabels'],
        f'{namespace}/lseg/enable': ['std_srvs/srv/SetBool'],
        f'{namespace}/lseg/segment': ['lseg_ros/srv/SegmentImage'],
        f'{namespace}/lseg/query': ['lseg_ros/srv/QueryText'],
        f'{namespace}/lseg/encode_text': ['lseg_ros/srv/EncodeText'],
    }


def test_label_image_and_confidence_have_the_header_and_size_of_the_image(active):
    client = active(labels=LABELS)
    client.listen('lseg/confidence')
    client.wait_for_links('lseg/confidence')
    picture = np.ascontiguousarray(PICTURE[:31, :45])
    label_image = client.segment_frame(picture)
    confidence = client.wait_for_header('lseg/confidence', label_image.header)
    assert label_image.header.frame_id == 'camera_optical'
    for message in (label_image, confidence):
        assert (message.encoding, message.height, message.width, message.step) == ('mono8', 31, 45, 45)
        assert len(message.data) == 31 * 45
    assert set(np.unique(ids_of(label_image))) <= {0, 1, 2}


@pytest.mark.slow
def test_masks_are_255_where_the_label_image_has_their_class(active):
    client = active(labels=LABELS)
    topics = ['lseg/masks/other', 'lseg/masks/floor', 'lseg/masks/door']
    for topic in topics:
        client.listen(topic)
    client.poll(lambda: client.segment_frame() and all(client.received[topic] for topic in topics), 'all masks')
    for class_id, topic in enumerate(topics):
        mask = client.received[topic][-1]
        label_image = client.wait_for_header('lseg/label_image', mask.header)
        assert mask.encoding == 'mono8'
        assert np.array_equal(ids_of(mask), np.where(ids_of(label_image) == class_id, 255, 0))


@pytest.mark.slow
def test_overlay_has_the_size_of_the_image(active):
    client = active(labels=LABELS, overlay_alpha=0.0)
    client.listen('lseg/overlay')
    client.poll(lambda: client.segment_frame() and client.received['lseg/overlay'], 'an overlay')
    overlay = image_to_rgb(client.received['lseg/overlay'][-1])
    assert overlay.shape == PICTURE.shape
    # At zero opacity everything but borders and legend equals the image.
    assert (overlay == PICTURE).all(2).any()


@pytest.mark.slow
def test_pixels_below_the_confidence_threshold_are_unlabelled(active):
    client = active(labels=LABELS)
    assert client.set_parameter('confidence_threshold', 1.0).successful
    client.poll(lambda: set(np.unique(ids_of(client.segment_frame()))) == {255}, 'unlabelled pixels')


@pytest.mark.slow
def test_images_are_reduced_to_the_input_size(start, tiny_weights):
    client = start(labels=LABELS, include_other=False, input_size=32)
    client.listen('lseg/label_image')
    assert client.configure() and client.activate()
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    ids = ids_of(client.segment_frame(picture))
    model, labels = load(tiny_weights), LabelRegistry(include_other=False).replace(LABELS)
    small, whole = (SinglePassSegmenter(model, input_size=size) for size in (32, 0))
    expected, other = (each.segment([picture], each.prepare(labels))[0].ids for each in (small, whole))
    assert (ids == expected).mean() > 0.99 > (other == expected).mean()


@pytest.mark.slow
def test_image_size_may_change_from_frame_to_frame(active):
    client = active(labels=LABELS)
    for height, width in ((1, 1), (48, 64), (3, 200), (121, 33), (480, 640)):
        message = client.segment_frame(np.full((height, width, 3), 90, np.uint8))
        assert (message.height, message.width) == (height, width)


def jpeg(pixels):
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, 'jpeg')
    message = CompressedImage(header=Header(frame_id='left'), format='jpeg', data=file.getvalue())
    message.header.stamp.sec = 5
    return message


def received_for(client, message, topic):
    """Return the first image on `topic` that the node makes of a compressed one."""
    client.listen(topic)
    assert client.configure() and client.activate()
    camera = client.node.create_publisher(CompressedImage, 'image/compressed', qos_profile_sensor_data)

    def send():
        camera.publish(message)
        return client.soon(lambda: client.received[topic])

    return client.poll(send, topic)[0]


def test_compressed_images_are_segmented(start):
    message = jpeg(PICTURE)
    label_image = received_for(start(labels=LABELS, image_transport='compressed'), message, 'lseg/label_image')
    assert label_image.header == message.header
    assert (label_image.height, label_image.width) == PICTURE.shape[:2]


@pytest.mark.slow
@pytest.mark.parametrize('topic', ['lseg/label_image', 'lseg/overlay'])
def test_outputs_show_a_large_jpeg_in_full(start, topic):
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, ::2] = 255  # would be grey, if enlarged from what the network needs
    client = start(labels=LABELS, image_transport='compressed', overlay_alpha=0.0)
    image = received_for(client, jpeg(stripes), topic)
    assert (image.height, image.width) == (720, 1280)
    if topic == 'lseg/overlay':
        assert np.median(np.abs(np.diff(image_to_rgb(image).astype(int), axis=1))) > 200


@pytest.mark.slow
def test_tables_are_latched_at_configure_and_reach_late_subscribers(start):
    client = start(labels=['floor=floor|ground', 'door'])
    assert client.configure()
    client.listen_to_tables()
    table = client.wait_for(lambda: client.received['lseg/label_set'], 'the table')[0]
    info = client.wait_for(lambda: client.received['lseg/label_info'], 'the label info')[0]
    assert client.state() == 'inactive'
    assert [(entry.id, entry.name, list(entry.prompts)) for entry in table.classes] == [
        (0, 'other', ['other']),
        (1, 'floor', ['floor', 'ground']),
        (2, 'door', ['door']),
    ]
    assert [(entry.class_id, entry.class_name) for entry in info.class_map] == [(0, 'other'), (1, 'floor'), (2, 'door')]
    assert stamp_of(table) == 0


@pytest.mark.slow
def test_qos_override_of_the_images_applies_only_to_them(start):
    client = start(namespace='/overridden', **{'qos_overrides./overridden/image.subscription.reliability': 'reliable'})
    assert client.configure() and client.activate()

    def reliability(topic):
        name = f'/overridden/{topic}'
        found, *_ = client.poll(lambda: client.node.get_subscriptions_info_by_topic(name), name)
        return found.qos_profile.reliability

    assert reliability('image') == ReliabilityPolicy.RELIABLE
    assert reliability('camera_info') == ReliabilityPolicy.BEST_EFFORT
    assert reliability('depth') == ReliabilityPolicy.BEST_EFFORT


def test_lifecycle_stops_and_starts_the_stream_and_frees_the_topics(active, opened):
    client = active(labels=LABELS)
    topic = f'{client.namespace}/lseg/label_image'
    assert client.change_state(Transition.TRANSITION_DEACTIVATE)
    client.poll(lambda: client.node.count_subscribers('image') == 0, 'the node to unsubscribe')
    assert client.activate()
    client.segment_frame()
    assert client.change_state(Transition.TRANSITION_DEACTIVATE)
    assert client.change_state(Transition.TRANSITION_CLEANUP)
    client.poll(lambda: client.node.count_publishers(topic) == 0, 'the topics to go')
    opened.clear()  # the network is loaded again
    assert client.configure() and client.activate()
    client.segment_frame()
    assert client.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert client.state() == 'finalized'


@pytest.mark.slow
def test_nothing_is_published_once_disabling_is_acknowledged(active):
    client = active(labels=LABELS)
    for _ in range(5):
        client.send()
    answer = client.enable(False)
    assert answer.success
    newest = max(stamp_of(message) for message in client.received['lseg/label_image'])
    sent_later = [client.send() for _ in range(5)]
    status, _ = client.wait_for_status(lambda status, _: 'disabled' in status.message, 'disabled')
    assert status.level == b'\x00'
    assert client.enable(True).success
    client.segment_frame()
    stamps = {stamp_of(message) for message in client.received['lseg/label_image']}
    assert newest in stamps
    assert stamps.isdisjoint(sent_later)


@pytest.mark.slow
def test_enable_works_in_every_state(start):
    client = start(labels=LABELS)
    assert 'not active' in client.enable(True).message
    assert client.configure()
    assert client.enable(False).success
    client.listen('lseg/label_image')
    assert client.activate()
    client.wait_for_status(lambda status, _: 'disabled' in status.message, 'disabled')
    assert client.enable(True).success
    client.segment_frame()


def test_diagnostics_report_frame_counts_model_and_delays(active, tiny_weights):
    client = active(labels=LABELS)
    stamp_now = client.node.get_clock().now().nanoseconds
    client.send(stamp_ns=stamp_now)
    client.wait_for(lambda: stamp_now in map(stamp_of, client.received['lseg/label_image']), 'the label image')
    status, values = client.wait_for_status(lambda _, values: int(values.get('frames published', 0)) >= 2, 'two frames')
    assert (status.level, status.message) == (b'\x00', 'segmenting')
    assert values['model'] == tiny_weights
    assert values['labels'] == 'other, floor, door'
    assert (values['device'], values['precision']) == ('cpu', 'float32')
    assert int(values['images received']) >= 2
    assert float(values['processing p50 (ms)']) > 0.0
    assert float(values['latency p95 (ms)']) >= float(values['latency p50 (ms)']) > 0.0
    assert float(values['memory (MiB)']) > 0.0


@pytest.mark.slow
@pytest.mark.skipif(get_rmw_implementation_identifier() != 'rmw_fastrtps_cpp', reason='a profile for Fast DDS')
def test_messages_that_the_transport_may_lose_are_reported(active, monkeypatch):
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    client = active(labels=LABELS, output_size=[1024, 768])
    client.segment_frame()
    status, _ = client.wait_for_status(lambda status, _: 'subscribers may miss' in status.message, 'the loss')
    assert status.level == b'\x01'
    assert f'{client.namespace}/lseg/label_image (0.8 MB)' in status.message
    assert 'config/fastdds.xml' in status.message
    monkeypatch.setenv(PROFILE_VARIABLE, 'fastdds.xml')
    client.wait_for_status(lambda status, _: status.message == 'segmenting', 'no loss')


@pytest.mark.slow
def test_latency_uses_simulated_time_even_when_it_jumps_back(start):
    client = start(labels=LABELS, use_sim_time=True)
    client.listen('lseg/label_image')
    assert client.configure() and client.activate()
    simulation = client.node.create_publisher(Clock, '/clock', 1)
    for now_s in (1000, 10):
        clock = Clock()
        clock.clock.sec = now_s

        def measured():
            simulation.publish(clock)
            client.send(stamp_ns=now_s * 10**9 - 25 * 10**7)
            return client.soon(
                lambda: any(values.get('latency p95 (ms)') == '250.0' for _, values in client.statuses(-1)), 0.1
            )

        client.poll(measured, 'the latency')
        assert client.enable(False).success and client.enable(True).success  # reset the statistics


@pytest.mark.slow
@pytest.mark.parametrize('setting', [{'device': 'cpu'}, {'precision': 'float32'}])
def test_model_parameters_cannot_change_while_the_model_is_loaded(active, setting):
    client = active(labels=LABELS)
    ((name, value),) = setting.items()
    result = client.set_parameter(name, value)
    assert not result.successful
    assert 'clean the node up first' in result.reason
    assert isinstance(client.segment_frame(), Image)


def test_images_that_arrive_while_the_process_ends_cause_no_warning(monkeypatch, capfd):
    context = rclpy.Context()
    rclpy.init(context=context)
    with oracle_in_node():
        node = SegmentationNode(context=context, enable_rosout=False)
        node.trigger_configure()
        node.trigger_activate()
    receive = next(each.callback for each in node.subscriptions if each.topic_name == '/image')
    begun, look = threading.Event(), Outputs.note_consumers
    monkeypatch.setattr(Outputs, 'note_consumers', lambda outputs: begun.set() or look(outputs))
    rclpy.shutdown(context=context)
    receive(array_to_image(PICTURE, 'rgb8', Header()))
    assert begun.wait(TIMEOUT_S)
    node.close()
    node.destroy_node()
    assert 'WARN' not in capfd.readouterr().err


def test_openvino_device_that_is_absent_fails_configure_with_those_present(start, capfd):
    pytest.importorskip('openvino')
    client = start(backend='openvino', openvino_device='NPU.9')
    assert not client.configure()
    assert "openvino_device 'NPU.9' is not here: use one of CPU" in capfd.readouterr().err
    assert client.set_parameter('openvino_device', 'CPU').successful
