# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, which the YAML file and the node must agree with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
import yaml
from harness import BARE
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter

from lseg_ros.nodes.parameter_files import unread_files
from lseg_ros.nodes.parameters import MOST_SHOWN, Applies
from lseg_ros.nodes.segmentation.settings import PARAMETERS
from tools import write_parameters

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / 'scripts'
NODE = (
    sys.executable,
    '-c',
    'import sys; from lseg_ros.nodes.segmentation.segmentation_node import main; sys.exit(main())',
)


@pytest.fixture
def make_node(ros_context):
    nodes = []

    def make(**overrides):
        nodes.append(
            rclpy.create_node(
                'parameters',
                context=ros_context,
                parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_names_are_frozen():
    assert set(PARAMETERS) == {
        'model',
        'text_model',
        'device',
        'precision',
        'backend',
        'compile',
        'openvino_device',
        'cpu_threads',
        'input_size',
        'labels',
        'labels_file',
        'include_other',
        'other_prompts',
        'confidence_threshold',
        'temporal_smoothing',
        'temporal_warp',
        'cameras',
        'max_rate',
        'image_transport',
        'output_size',
        'depth_slop',
        'points_stride',
        'points_color',
        'embedding_stride',
        'rectified',
        'overlay_alpha',
        'image_timeout',
    }


@pytest.mark.parametrize('files', write_parameters.FILES, ids=lambda files: files.name)
def test_yaml_file_and_page_are_up_to_date(files):
    values = yaml.safe_load(files.yaml_file.read_text())['/**']['ros__parameters']
    defaults = {
        spec.name: list(spec.default) if isinstance(spec.default, tuple) else spec.default
        for spec in files.parameters.values()
    }
    assert values == defaults
    remedy = 'run python -m tools.write_parameters'
    assert files.yaml_file.read_text() == files.yaml_text(), remedy
    page = files.page.read_text()
    assert page == files.page_text(page) and files.markdown_table() in page, remedy


def test_declared_parameters_have_default_description_and_range(make_node):
    node = make_node()
    PARAMETERS.declare(node)
    for spec in PARAMETERS.values():
        value = node.get_parameter(spec.name).value
        assert (tuple(value) if isinstance(value, list) else value) == spec.default
        descriptor = node.describe_parameter(spec.name)
        assert descriptor.description == spec.description
        assert descriptor.read_only == (spec.applies is Applies.AT_START)
        ranges = [(r.from_value, r.to_value) for r in (*descriptor.floating_point_range, *descriptor.integer_range)]
        assert ranges == ([spec.range] if spec.range else [])


@pytest.mark.parametrize(
    'name, value, error',
    [
        ('confidence_threshold', 1.5, InvalidParameterValueException),
        ('overlay_alpha', -0.1, InvalidParameterValueException),
        ('points_stride', 0, InvalidParameterValueException),
        ('model', 3, InvalidParameterTypeException),
        ('labels', 'floor', InvalidParameterTypeException),
        ('precision', 'float8', ValueError),
        ('image_transport', 'theora', ValueError),
        ('points_color', 'red', ValueError),
    ],
)
def test_invalid_value_is_refused(make_node, name, value, error):
    with pytest.raises(error, match=name):
        PARAMETERS.declare(make_node(**{name: value}))


def test_value_just_beyond_its_range_counts_as_its_end(make_node):
    node = make_node(confidence_threshold=1.0 + 1e-7)  # which rclpy accepts
    PARAMETERS.declare(node)
    assert PARAMETERS.read(node).confidence_threshold == 1.0


def test_value_for_a_parameter_that_the_node_lacks_is_said_with_the_name_that_was_meant(make_node, capfd):
    overrides = {f'other_{number}': 1 for number in range(MOST_SHOWN)}
    given = {'confidence_treshold': 0.5, 'use_sim_time': False, 'qos_overrides./image.subscription.depth': 2}
    PARAMETERS.declare(make_node(labels=['floor'], **given, **overrides))
    (line,) = [line for line in capfd.readouterr().err.splitlines() if 'ignored' in line]
    assert "'confidence_treshold' (did you mean confidence_threshold?), 'other_0'" in line
    assert line.endswith("'other_6' and 1 more") and 'sim_time' not in line and 'qos' not in line


@pytest.mark.parametrize(
    'keys, is_meant',
    [
        (['/**'], True),
        (['lseg'], False),
        (['/lseg'], False),
        (['robot1', 'lseg'], True),
        (['/robot1/lseg'], True),
        (['/*/lseg'], True),
        (['/**', 'lseg'], True),
        (['/*'], False),
        (['/robot1/lseg_map'], False),
    ],
)
def test_parameter_file_that_is_not_meant_for_the_node_is_named(tmp_path, keys, is_meant):
    content = {'ros__parameters': {'labels': ['floor']}}
    for key in reversed(keys):
        content = {key: content}
    path = tmp_path / 'params.yaml'
    path.write_text(yaml.safe_dump(content))
    arguments = ['--ros-args', '--params-file', str(path)]
    with node_of(arguments) as node:
        assert bool(node._parameter_overrides) == is_meant, 'as ROS reads it'
        sentences = unread_files(node, arguments)
    assert bool(sentences) != is_meant
    assert is_meant or (str(path) in sentences[0] and '/robot1/lseg,' in sentences[0])


@contextmanager
def node_of(arguments):
    """Start a node /robot1/lseg that ROS gives these arguments."""
    context = rclpy.Context()
    rclpy.init(args=arguments, context=context)
    node = rclpy.create_node('lseg', namespace='/robot1', context=context, **BARE)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def run_program(name, *arguments, **environment):
    """Run a node's script, which should exit; return the completed process."""
    return subprocess.run(
        [sys.executable, SCRIPTS / name, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_node_names_the_invalid_parameter_in_one_line_and_exits():
    """Every node: the camera node starts soonest."""
    process = run_program('camera_node', '--ros-args', '-p', 'rate:=0.0')
    assert process.returncode == 2
    assert 'rate' in process.stderr
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    'content, reason',
    [
        (None, 'params.yaml'),
        ('/**:\n  ros__parameters:\n    source: [drive\n', 'line 3'),
        ('/**:\n  ros__parameters:\n    labels: [floor, 3]\n', 'line_num 3'),
    ],
    ids=['missing', 'broken', 'mixed list'],
)
def test_unusable_parameter_file_is_told_in_one_line(tmp_path, content, reason):
    """By every node: the camera node starts soonest."""
    path = tmp_path / 'params.yaml'
    if content is not None:
        path.write_text(content)
    process = run_program('camera_node', '--ros-args', '--params-file', path)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith('camera_node: ') and reason in line and '.c:' not in line


def test_log_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    obstacle = tmp_path / 'file'
    obstacle.touch()
    process = run_program('camera_node', ROS_LOG_DIR=str(obstacle))
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert str(obstacle) in line


@pytest.mark.parametrize('program', ['segmentation_node', 'camera_node'])
def test_node_interrupted_during_startup_exits_silently(program):
    process = subprocess.Popen([sys.executable, SCRIPTS / program], stderr=subprocess.PIPE)
    try:
        wait_until_it_imports(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (-signal.SIGINT, b'')


NODE_STOPPED_IN_MID_PUBLISH = """
import sys
import rclpy
from rclpy.node import Node
from std_msgs.msg import Empty
from lseg_ros.nodes.process import run_node

class Stopped(Node):
    def __init__(self):
        super().__init__('stopped')
        self.publisher = self.create_publisher(Empty, 'tick', 1)
        self.create_timer(0.01, self.tick)

    def tick(self):
        rclpy.shutdown()  # as the handler of SIGINT does, at any moment
        self.publisher.publish(Empty())

sys.exit(run_node('stopped', Stopped))
"""


def test_node_stopped_while_it_publishes_exits_silently():
    process = subprocess.run(
        [sys.executable, '-c', NODE_STOPPED_IN_MID_PUBLISH], capture_output=True, text=True, timeout=60, check=False
    )
    assert (process.returncode, process.stderr) == (0, '')


NODE_WHOSE_TERMINAL_CLOSES = """
import os, signal, sys
from rclpy.node import Node
from lseg_ros.nodes.process import run_node

class Left(Node):
    def __init__(self):
        super().__init__('left')
        self.ticks = 0
        self.create_timer(0.01, self.tick)

    def tick(self):
        self.ticks += 1
        os.kill(os.getpid(), signal.SIGHUP)

signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1:] else signal.SIG_DFL)
run_node('left', Left, is_finished=lambda node: node.ticks > 9, close=lambda node: print('closed', node.ticks > 9))
"""


@pytest.mark.parametrize('arguments, is_finished', [([], False), (['nohup'], True)])
def test_node_closes_with_its_terminal_unless_it_was_told_not_to(arguments, is_finished):
    process = subprocess.run(
        [sys.executable, '-c', NODE_WHOSE_TERMINAL_CLOSES, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, f'closed {is_finished}\n', '')


@pytest.mark.slow
def test_node_told_to_stop_while_it_configures_leaves_at_once_and_silently(make_node, tmp_path):
    labels = tmp_path / 'labels.yaml'
    os.mkfifo(labels)  # configure waits in vain for someone to write to it
    process = subprocess.Popen(
        [*NODE, '--ros-args', '-r', '__ns:=/told', '-p', f'labels_file:={labels}'], stderr=subprocess.PIPE, text=True
    )
    try:
        node = make_node()
        client = node.create_client(ChangeState, '/told/lseg/change_state')
        assert client.wait_for_service(60)
        client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
        pause_until(lambda: is_being_read(labels), 60)
        told = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)  # as an impatient launch does next
        _, errors = process.communicate(timeout=60)
        took = time.monotonic() - told
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, '')
    assert took < 2
    # A process that only died would stay in the graph for 20 s.
    pause_until(lambda: ('lseg', '/told') not in node.get_node_names_and_namespaces(), 10)


def is_being_read(fifo):
    """Return whether a process has begun to read the FIFO, and keep it waiting if so."""
    try:
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads yet
        return False
    return True


def pause_until(condition, seconds):
    """Return once `condition` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_until_it_imports(pid):
    """Return once the process has loaded NumPy, an early import of every node."""
    while 'numpy' not in Path(f'/proc/{pid}/maps').read_text():
        os.sched_yield()
