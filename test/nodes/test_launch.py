# SPDX-License-Identifier: Apache-2.0
"""The launch files, which need ROS's launch packages to run, and the transport profile."""

from __future__ import annotations

import importlib.util
import os
import runpy
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lseg_ros.nodes.transport import PROFILE_VARIABLE

PACKAGE = Path(__file__).parents[2]
LAUNCH_FILES = sorted((PACKAGE / 'launch').glob('*.launch.py'))
needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None, reason="ROS's launch packages are not installed"
)


def describe(path):
    """Return the launch description of a file."""
    spec = importlib.util.spec_from_file_location(path.stem.replace('.', '_'), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def test_all_launch_files_are_there():
    assert [path.name for path in LAUNCH_FILES] == ['demo.launch.py', 'lseg.launch.py', 'map.launch.py']


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_file_is_valid_python_without_eval_or_subprocess(path):
    source = path.read_text()
    compile(source, path, 'exec')
    assert not any(word in source for word in ('eval(', 'subprocess', 'OpaqueFunction'))


@pytest.mark.parametrize('program', ['segmentation_node', 'map_node'])
@pytest.mark.parametrize('chosen, policy', [(None, 'PASSIVE'), ('ACTIVE', 'ACTIVE')])
def test_idle_threads_of_a_node_leave_the_cores_to_others(program, chosen, policy, monkeypatch):
    monkeypatch.setenv('OMP_WAIT_POLICY', chosen or '')  # monkeypatch restores it afterwards
    if chosen is None:
        del os.environ['OMP_WAIT_POLICY']
    monkeypatch.setattr(signal, 'signal', lambda *_: None)
    runpy.run_path(str(PACKAGE / 'scripts' / program), run_name='imported')
    assert os.environ['OMP_WAIT_POLICY'] == policy


@needs_launch
@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_has_a_description_and_a_default(path):
    arguments = describe(path).get_launch_arguments()
    assert arguments
    for argument in arguments:
        assert argument.default_value is not None
        assert argument.description != 'no description given'


@needs_launch
def test_node_is_started_as_a_lifecycle_node_and_brought_up():
    kinds = [type(entity).__name__ for entity in describe(PACKAGE / 'launch/lseg.launch.py').entities]
    assert {'LifecycleNode', 'EmitEvent', 'RegisterEventHandler'} <= set(kinds)
    # The handler must be registered before the event it waits for is emitted.
    assert kinds.index('RegisterEventHandler') < kinds.index('EmitEvent')


@needs_launch
def test_every_input_can_be_remapped_by_launch_arguments():
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

    from launch import LaunchContext

    description = describe(PACKAGE / 'launch/lseg.launch.py')
    context = LaunchContext()
    context.launch_configurations.update(image='/camera/image_raw', depth='/camera/depth', camera_info='/camera/info')
    (node,) = (entity for entity in description.entities if type(entity).__name__ == 'LifecycleNode')
    remapped = {}
    for pair in node._Node__remappings:  # launch_ros has no public accessor
        source, target = (perform_substitutions(context, normalize_to_list_of_substitutions(part)) for part in pair)
        remapped[source] = target
    assert remapped == {
        'image': '/camera/image_raw',
        'image/compressed': '/camera/image_raw/compressed',
        'depth': '/camera/depth',
        'camera_info': '/camera/info',
    }


@needs_launch
def test_map_node_follows_the_arguments_of_the_segmentation_node():
    from launch_ros.utilities import evaluate_parameters

    from launch import LaunchContext

    description = describe(PACKAGE / 'launch/map.launch.py')
    (node,) = (entity for entity in description.entities if type(entity).__name__ == 'LifecycleNode')
    context = LaunchContext()
    context.launch_configurations.update(name='seg', use_sim_time='true', map_params_file='my_map.yaml')
    *_, overrides = evaluate_parameters(context, node._Node__parameters)  # launch_ros has no public accessor
    assert overrides == {'segmentation_node': 'seg', 'use_sim_time': True}


@needs_launch
def test_node_gets_the_transport_profile_of_its_user_or_else_the_shipped_one(monkeypatch):
    from launch.utilities import perform_substitutions

    from launch import LaunchContext

    def profile():
        argument = next(
            each
            for each in describe(PACKAGE / 'launch/lseg.launch.py').get_launch_arguments()
            if each.name == 'transport_profile'
        )
        return perform_substitutions(LaunchContext(), argument.default_value)

    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    assert profile().endswith('lseg_ros/config/fastdds.xml')
    monkeypatch.setenv(PROFILE_VARIABLE, 'mine.xml')
    assert profile() == 'mine.xml'


@needs_launch
def test_node_is_activated_once_and_not_again_when_a_manager_reconfigures_it():
    handlers = [
        entity.event_handler
        for entity in describe(PACKAGE / 'launch/lseg.launch.py').entities
        if type(entity).__name__ == 'RegisterEventHandler'
    ]
    assert [handler.handle_once for handler in handlers] == [True]


def test_transport_profile_fits_large_images_and_still_reaches_other_machines():
    profiles = ElementTree.parse(PACKAGE / 'config/fastdds.xml').getroot()
    spaces = {'': 'http://www.eprosima.com'}
    used = {element.text for element in profiles.findall('.//userTransports/transport_id', spaces)}
    transports = {
        transport.findtext('type', namespaces=spaces): transport
        for transport in profiles.findall('.//transport_descriptor', spaces)
        if transport.findtext('transport_id', namespaces=spaces) in used
    }
    assert set(transports) == {'SHM', 'UDPv4'}
    twelve_megapixels = 4000 * 3000 * 3
    assert int(transports['SHM'].findtext('segment_size', namespaces=spaces)) > twelve_megapixels
