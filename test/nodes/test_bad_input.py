# SPDX-License-Identifier: Apache-2.0
"""The node explains bad input and keeps running."""

from __future__ import annotations

import io
import math
from array import array
from pathlib import Path

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from harness import PICTURE, ids_of, segmentation_node, stamp_of
from PIL import Image as Picture
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lseg_ros.labels.syntax import topic_name
from lseg_ros.nodes import problem_log
from lseg_ros.nodes.conversions import array_to_image

pytestmark = pytest.mark.slow

GOOD = array_to_image(PICTURE, 'rgb8', Header(frame_id='camera_optical'))


def changed(**fields):
    """Return a good image with some fields replaced."""
    values = {name: getattr(GOOD, name) for name in GOOD.get_fields_and_field_types()}
    return Image(**values | fields)


def error_lines(capfd):
    return [line for line in capfd.readouterr().err.splitlines() if '[ERROR]' in line]


@pytest.fixture
def damaged(tiny_weights, tmp_path):
    """Truncated weights, and a folder whose text encoder has been altered."""
    weights = tmp_path / 'damaged.safetensors'
    weights.write_bytes(Path(tiny_weights).read_bytes()[:5000])
    text = tmp_path / 'text'
    text.mkdir()
    (text / 'model.safetensors').write_bytes(bytes(1000))
    (text / 'tokenizer.json').write_text('{}')
    return {'model': str(weights), 'text_model': str(text)}


@pytest.mark.parametrize(
    'name, value, reason',
    [
        ('model', 'lseg-huge', "unknown model 'lseg-huge'"),
        ('model', '/nowhere/weights.safetensors', '/nowhere/weights.safetensors'),
        ('model', 'damaged', 'damaged.safetensors'),
        ('text_model', 'damaged', 'text/model.safetensors'),
        ('text_model', '/nowhere/minilm', 'text model /nowhere/minilm is not a folder'),
        ('device', 'cuda:99', "device 'cuda:99'"),
        ('device', 'abacus', "device 'abacus'"),
        ('labels', ['floor', 'floor'], "'floor' is listed twice"),
        ('cameras', ['front', 'front'], "'front' is listed twice"),
        ('cameras', ['front', ''], 'a name is empty'),
        ('cameras', ['front//left'], "'front//left' is not valid in a topic name"),
        ('output_size', [424], 'output_size must be [width, height]'),
        ('cameras', ['2nd'], "'2nd' is not valid in a topic name"),
    ],
)
def test_configure_fails_with_one_line_and_can_be_retried(start, tiny_weights, damaged, capfd, name, value, reason):
    value = damaged[name] if value == 'damaged' else value
    client = start(**{name: value})
    assert not client.configure()
    assert client.state() == 'unconfigured'
    (line,) = error_lines(capfd)
    assert reason in line
    status, _ = client.wait_for_status(lambda status, _: reason in status.message, reason)
    assert status.level == b'\x02'
    good = {
        'model': tiny_weights,
        'text_model': '',
        'device': 'cpu',
        'labels': ['floor'],
        'cameras': [''],
        'output_size': [0, 0],
    }[name]
    assert client.set_parameter(name, good).successful
    assert client.configure()
    assert client.state() == 'inactive'


@pytest.mark.parametrize(
    'message, reason',
    [
        (changed(height=0, data=array('B')), 'empty image'),
        (changed(width=0, step=0, data=array('B')), 'empty image'),
        (changed(data=array('B', bytes(100))), 'data end early'),
        (changed(encoding='klingon8'), "unknown image encoding 'klingon8'"),
        (changed(step=10), 'step 10 is shorter than a row'),
        (changed(header=Header(stamp=Time(sec=-5))), 'the stamp, -5 s and 0 ns, is not a valid time'),
        (changed(header=Header(stamp=Time(nanosec=10**9))), 'the stamp, 0 s and 1000000000 ns,'),
    ],
    ids=['no height', 'no width', 'short data', 'encoding', 'step', 'negative', 'nanoseconds'],
)
def test_bad_image_is_dropped_counted_and_explained_and_the_next_one_is_segmented(active, message, reason):
    client = active(labels=['floor', 'door'])

    def is_reported():
        client.send_message(message)
        return client.soon(lambda: client.reported('last problem', lambda text: reason in text), seconds=1.0)

    client.poll(is_reported, 'the reason in the diagnostics')
    _, values = client.wait_for_status(lambda _, values: True, 'counters')
    assert int(values['images bad']) >= 1
    assert all(stamp_of(each) > 0 for each in client.received['lseg/label_image'])  # those of good images
    assert set(np.unique(ids_of(client.segment_frame()))) <= {0, 1, 2}


@pytest.mark.parametrize('keep', [0.5, 0.0])
def test_truncated_jpeg_is_dropped_counted_and_explained(start, keep):
    client = start(labels=['floor'], image_transport='compressed')
    assert client.configure() and client.activate()
    camera = client.node.create_publisher(CompressedImage, 'image/compressed', qos_profile_sensor_data)
    file = io.BytesIO()
    Picture.fromarray(PICTURE).save(file, 'jpeg')
    data = file.getvalue()
    message = CompressedImage(format='jpeg', data=data[: int(keep * len(data))])
    client.poll(lambda: camera.get_subscription_count(), 'the node to subscribe')
    for _ in range(5):
        camera.publish(message)
    _, values = client.wait_for_status(lambda _, values: int(values['images bad']) > 0, 'a bad image')
    assert "format 'jpeg'" in values['last problem']


def test_stream_of_bad_images_is_logged_at_a_limited_rate(active, capfd):
    client = active(labels=['floor'])
    capfd.readouterr()
    bad = changed(encoding='klingon8')

    def many_bad():
        client.send_message(bad)
        return client.reported('images bad', lambda count: int(count) >= 20)

    client.poll(many_bad, 'twenty bad images')
    warnings = [line for line in capfd.readouterr().err.splitlines() if 'klingon8' in line]
    assert 1 <= len(warnings) < 5


BAD_LABELS = [
    ([], 'empty'),
    ([''], "''"),
    (['   '], "'   '"),
    (['x' * 1000], '1000 characters'),
    (['cat', 'dog', 'cat'], "'cat'"),
    (['new cat', 'new-cat'], 'share the topic'),
    (['a\x07b'], 'U+0007'),
    (['two\nlines'], 'U+000A'),
    ([f'label {number}' for number in range(255)], '254'),
    (['cat='], 'empty prompt'),
    (['cat=cat|'], 'empty prompt'),
    (['=cat'], 'empty name'),
]


@pytest.fixture(scope='module')
def configured(ros_context, tiny_weights):
    """The client of an inactive node, shared by tests that change nothing."""
    with segmentation_node(ros_context, model=tiny_weights, labels=['floor', 'door']) as client:
        assert client.configure()
        yield client


@pytest.mark.parametrize('labels, reason', BAD_LABELS)
def test_invalid_labels_are_refused_with_the_reason(configured, labels, reason):
    answer = configured.set_labels(labels)
    assert not answer.success
    assert reason in answer.message
    assert [entry.name for entry in answer.label_set.classes] == ['other', 'floor', 'door']


@pytest.mark.parametrize(
    'groups, reason',
    [
        (['ground'], "group 'ground' has no '='"),
        (['ground=unicorn'], "group 'ground' has 'unicorn', which is not among the labels"),
        (['door=floor'], "group 'door' and label 'door' would share"),
        ([f'group {number}=floor' for number in range(300)], '300 groups are too many'),
    ],
)
@pytest.mark.parametrize('labels', [[], ['floor']])
def test_invalid_groups_are_refused_with_the_reason(configured, labels, groups, reason):
    answer = configured.set_labels(labels, 'add', groups)
    assert not answer.success
    assert reason in answer.message
    assert not any(entry.groups for entry in answer.label_set.classes)


def test_unknown_mode_is_refused(configured):
    answer = configured.set_labels(['cat'], 'merge')
    assert not answer.success
    assert "'merge'" in answer.message


def test_removing_an_unknown_label_is_refused(configured):
    answer = configured.set_labels(['unicorn'], 'remove')
    assert not answer.success
    assert "'unicorn'" in answer.message


def test_labels_in_any_language_and_up_to_the_number_of_ids_are_accepted(start):
    client = start(labels=['floor'])
    assert client.configure()
    names = ['地板', 'стена', 'أرضية', 'Fußboden', 'साड़ी', '🪑', 'fire exit']
    answer = client.set_labels(names)
    assert answer.success, answer.message
    assert {entry.name for entry in answer.label_set.classes} == {'other', *names}
    assert len({topic_name(name) for name in names}) == len(names)
    most = client.set_labels([f'thing {number}' for number in range(254)])
    assert most.success, most.message
    assert len({entry.id for entry in most.label_set.classes}) == 255


def test_problem_is_logged_once_in_a_while_even_among_others(active, capfd, monkeypatch):
    monkeypatch.setattr(problem_log, 'PERIOD_S', math.inf)
    client = active(labels=['floor'])
    log = []

    def logged(reason):
        log.extend(capfd.readouterr().err.splitlines())
        return [line for line in log if ']: bad image: ' in line and reason in line]

    reasons = {'klingon8': changed(encoding='klingon8'), 'shorter than a row': changed(step=10)}
    for reason, message in reasons.items():
        client.poll(lambda: client.send_message(message) or logged(reason), f'a warning of {reason}')
    client.poll(
        lambda: client.send_message(changed(step=11)) or client.reported('images bad', lambda count: int(count) >= 10),
        'more bad images',
    )
    assert [len(logged(reason)) for reason in reasons] == [1, 1]


def test_missing_camera_is_warned_about_with_its_topic(start, capfd):
    client = start(labels=['floor'], image_timeout=0.2)
    client.unplug_camera()
    assert client.configure() and client.activate()
    reason = f'no publisher on {client.namespace}/image'
    status, _ = client.wait_for_status(lambda status, _: reason in status.message, reason)
    assert status.level == b'\x01'
    assert any('[WARN]' in line and reason in line for line in capfd.readouterr().err.splitlines())


def test_camera_with_incompatible_qos_is_named_with_the_policy(start, capfd):
    client = start(
        **{'labels': ['floor'], 'image_timeout': 0.2, 'qos_overrides./qos/image.subscription.reliability': 'reliable'},
        namespace='/qos',
    )
    assert client.configure() and client.activate()
    status, _ = client.wait_for_status(lambda status, _: 'incompatible QoS' in status.message, 'incompatible QoS')
    assert status.level == b'\x01'
    assert '/qos/image' in status.message and 'client' in status.message
    assert 'eliab' in status.message
    assert 'incompatible QoS' in capfd.readouterr().err


def test_failed_activation_leaves_no_subscription_behind(start):
    override = 'qos_overrides./refused/right/depth.subscription.reliability'
    client = start(labels=['floor'], cameras=['left', 'right'], namespace='/refused', **{override: 'sometimes'})
    assert client.configure()
    assert not client.activate()
    assert client.state() == 'inactive'
    status, _ = client.wait_for_status(lambda status, _: 'cannot activate' in status.message, 'the reason')
    assert 'sometimes' in status.message
    inputs = [
        f'/refused/{camera}/{topic}' for camera in ('left', 'right') for topic in ('image', 'camera_info', 'depth')
    ]
    client.poll(lambda: not any(map(client.node.count_subscribers, inputs)), 'the node to unsubscribe')


def test_camera_that_publishes_another_type_is_named(start):
    client = start(labels=['floor'], image_timeout=0.2, image_transport='compressed')
    # Fast DDS refuses two types of one topic in a participant, so the camera gets its own.
    context = rclpy.Context()
    rclpy.init(context=context)
    camera = rclpy.create_node('wrong_camera', context=context, namespace=client.namespace)
    camera.create_publisher(Image, 'image/compressed', qos_profile_sensor_data)
    assert client.configure() and client.activate()
    status, _ = client.wait_for_status(
        lambda status, _: 'wrong_camera sends sensor_msgs/msg/Image' in status.message, 'the wrong type'
    )
    assert 'not sensor_msgs/msg/CompressedImage' in status.message
    rclpy.shutdown(context=context)


def test_connected_but_silent_camera_is_reported(start):
    client = start(labels=['floor'], image_timeout=0.2)
    assert client.configure() and client.activate()
    client.wait_for_status(lambda status, _: 'no image arrives' in status.message, 'a silent camera')
