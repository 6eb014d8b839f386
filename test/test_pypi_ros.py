# SPDX-License-Identifier: Apache-2.0
"""The set-up of a ROS 2 environment: which one is chosen, and which steps run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.pypi_ros import __main__ as command_line
from tools.pypi_ros import cmake_paths, environment, installation
from tools.pypi_ros.installation import PINS, STAND_INS
from tools.pypi_ros.steps import Step, StepError, fingerprint, run_steps

EXPORTED = (
    'INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp312-cp312/include/python3.12;'
    '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include"'
)


def counted_step(tmp_path: Path, inputs: str, calls: list[str]) -> Step:
    def action() -> None:
        (tmp_path / 'product').touch()
        calls.append(inputs)

    return Step('one', 'A step', inputs, tmp_path / 'product', action, 'Try this.')


def failing_step(tmp_path: Path) -> Step:
    def action() -> None:
        subprocess.run(['bash', '-c', 'exit 3'], check=True)

    return Step('bad', 'A bad step', 'x', tmp_path, action, 'Try this.')


@pytest.fixture
def no_ros(monkeypatch, tmp_path):
    """No ROS 2 is sourced, and the checkout, an empty directory, has no environment yet."""
    for name in ('ROS_DISTRO', 'AMENT_PREFIX_PATH'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(environment, 'ROOT', tmp_path)


def test_a_step_runs_once_and_again_when_its_inputs_change(tmp_path):
    calls = []
    for inputs in ('a', 'a', 'b', 'b'):
        run_steps([counted_step(tmp_path, inputs, calls)], tmp_path / 'stamps')
    assert calls == ['a', 'b']


def test_a_step_runs_again_when_its_product_is_gone(tmp_path):
    calls = []
    run_steps([counted_step(tmp_path, 'a', calls)], tmp_path / 'stamps')
    (tmp_path / 'product').unlink()
    run_steps([counted_step(tmp_path, 'a', calls)], tmp_path / 'stamps')
    assert calls == ['a', 'a']


def test_a_failed_step_is_named_with_a_remedy_and_runs_again(tmp_path):
    for _ in range(2):
        with pytest.raises(StepError, match=r'(?s)\[1/1\] A bad step failed.*Try this\.'):
            run_steps([failing_step(tmp_path)], tmp_path / 'stamps')


def test_a_fingerprint_depends_on_names_and_contents(tmp_path):
    first, second = tmp_path / 'a', tmp_path / 'b'
    first.write_text('1')
    second.write_text('1')
    prints = {fingerprint([first]), fingerprint([second]), fingerprint([first], 'text')}
    first.write_text('2')
    assert len(prints | {fingerprint([first])}) == 4


def test_include_directories_become_those_of_this_machine(tmp_path):
    exported = tmp_path / 'share' / 'std_msgs' / 'cmake' / 'std_msgs__pyExport.cmake'
    exported.parent.mkdir(parents=True)
    exported.write_text(EXPORTED)
    numpy_include = Path(np.get_include())
    assert cmake_paths.relocate(tmp_path, Path('/usr/include/python3.11'), numpy_include) == 1
    assert exported.read_text() == (f'INTERFACE_INCLUDE_DIRECTORIES "/usr/include/python3.11;{numpy_include}"')
    assert cmake_paths.relocate(tmp_path, Path('/usr/include/python3.11'), numpy_include) == 0


def test_jazzy_wheels_unless_another_is_asked_for(no_ros, monkeypatch):
    chosen = environment.detect()
    assert (chosen.distro, chosen.sourced, chosen.venv.name) == ('jazzy', False, '.venv')
    monkeypatch.setenv('ROS_DISTRO', 'kilted')
    chosen = environment.detect()
    assert (chosen.distro, chosen.sourced, chosen.venv.name) == ('kilted', False, '.venv-kilted')


def test_an_environment_of_another_distribution_is_refused(no_ros, tmp_path):
    stamps = tmp_path / '.venv' / '.lseg_ros'
    stamps.mkdir(parents=True)
    (stamps / 'venv-kilted').touch()
    with pytest.raises(ValueError, match=r'not made for ROS 2 Jazzy; remove it \(rm -rf \.venv\)'):
        environment.detect()
    (stamps / 'venv-jazzy').touch()
    assert environment.detect().venv == tmp_path / '.venv'


@pytest.mark.parametrize('action', [['env'], ['run', 'true']])
def test_entering_before_the_set_up_says_what_to_run(no_ros, monkeypatch, capsys, action):
    monkeypatch.setattr(sys, 'argv', ['pypi_ros', *action])
    assert command_line.main() == 1
    assert 'not set up yet; run `make setup` first' in capsys.readouterr().err


@pytest.mark.parametrize('sourced', [False, True])
def test_only_the_wheels_are_limited_to_some_pythons(monkeypatch, tmp_path, sourced):
    commands = []
    monkeypatch.setattr(installation, 'WHEELS_PYTHON', ((3, 1), (3, 2)))
    monkeypatch.setattr(subprocess, 'run', lambda command, **_: commands.append(command))
    chosen = environment.Environment('jazzy', sourced, tmp_path / 'venv', tmp_path / 'build')
    make_venv = installation.steps(chosen)[0].action
    if sourced:
        make_venv()
        assert '--system-site-packages' in commands[0]
    else:
        with pytest.raises(OSError, match='no ROS wheels for Python 3'):
            make_venv()


def test_a_distribution_without_wheels_is_refused(no_ros, monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', 'noetic')
    with pytest.raises(ValueError, match="ROS_DISTRO is 'noetic'"):
        environment.detect()


@pytest.mark.ros
def test_a_sourced_ros_is_used_instead_of_wheels(monkeypatch):
    pytest.importorskip('rclpy')
    monkeypatch.setenv('ROS_DISTRO', 'rolling')
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/opt/ros/rolling')
    chosen = environment.detect()
    assert (chosen.sourced, chosen.venv.name) == (True, '.venv-rolling-sourced')
    assert 'AMENT_PREFIX_PATH' not in environment.shell_lines(chosen, [])


def test_wheels_in_a_virtual_environment_do_not_count_as_a_sourced_ros(monkeypatch, tmp_path):
    (tmp_path / 'pyvenv.cfg').touch()
    monkeypatch.setenv('ROS_DISTRO', 'kilted')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/elsewhere:{tmp_path}')
    assert not environment.detect().sourced


def test_programs_of_the_package_run_by_their_names(no_ros):
    chosen = environment.detect()
    (path,) = (line for line in environment.shell_lines(chosen, []).splitlines() if line.startswith('export PATH='))
    assert f'{chosen.install}/lseg_ros/lib/lseg_ros:' in path.replace("'", '')


def test_traffic_stays_on_this_machine_in_a_domain_of_its_own(no_ros):
    lines = environment.shell_lines(environment.detect(), []).splitlines()
    assert 'export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST' in lines
    assert 'export OMP_WAIT_POLICY=PASSIVE' in lines
    domains = {environment.free_domain() for _ in range(20)}
    assert len(domains) > 1 and all(1 <= domain <= 101 for domain in domains)


@pytest.mark.skipif(environment.detect().sourced, reason='concerns the wheels')
def test_environment_can_be_entered_from_within():
    enter = [sys.executable, '-m', 'tools.pypi_ros', 'run']
    subprocess.run([*enter, *enter, 'python', '-c', 'import rclpy'], cwd=environment.ROOT, timeout=60, check=True)


@pytest.mark.parametrize('distro', environment.WHEEL_DISTROS)
def test_every_wheel_is_pinned(distro):
    pins = [line for line in (PINS / f'{distro}.txt').read_text().splitlines() if line[0] != '#']
    assert 'ros-rclpy' in {pin.partition('==')[0] for pin in pins}
    assert all('==' in pin for pin in pins)


def test_the_stand_ins_are_what_pypi_lacks():
    present = {path.name for path in STAND_INS.iterdir()}
    assert present == {'cv_bridge', 'sensor_msgs_py', 'tf2_msgs', 'tf2_ros', 'vision_msgs'}
