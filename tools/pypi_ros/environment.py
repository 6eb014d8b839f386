# SPDX-License-Identifier: Apache-2.0
"""Which ROS 2 is used, where its virtual environment lies, and what a shell needs to enter it."""

from __future__ import annotations

import os
import random
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEEL_DISTROS = ('jazzy', 'kilted')  # the first is the default
DISCOVERY_PORT_BASE, DISCOVERY_PORTS_PER_DOMAIN = 7400, 250
LAST_PORTABLE_DOMAIN = 101


@dataclass(frozen=True)
class Environment:
    """A ROS 2 to build and run with: its distribution and its directories."""

    distro: str
    sourced: bool
    venv: Path
    build: Path

    @property
    def title(self) -> str:
        """Which ROS 2 this is and where it comes from, for people to read."""
        origin = 'as sourced' if self.sourced else f'PyPI wheels in {self.venv.name}'
        return f'ROS 2 {self.distro.capitalize()}, {origin}'

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.venv / 'bin' / 'python'

    @property
    def stamps(self) -> Path:
        """Where the finished steps of the set-up are recorded."""
        return self.venv / '.lseg_ros'

    @property
    def venv_stamp(self) -> Path:
        """The record that the virtual environment was made for this distribution."""
        return self.stamps / f'venv-{self.distro}'

    @property
    def overlay(self) -> Path:
        """The install directory of the stand-ins for packages that PyPI lacks."""
        return self.venv / 'overlay'

    @property
    def underlays(self) -> list[Path]:
        """The colcon install directories that lseg_ros is built on."""
        return [] if self.sourced else [self.overlay]

    @property
    def install(self) -> Path:
        """The colcon install directory of lseg_ros."""
        return self.build / 'install'

    @property
    def programs(self) -> Path:
        """The directory of the programs of lseg_ros, which `ros2 run` starts on a robot."""
        return self.install / 'lseg_ros' / 'lib' / 'lseg_ros'


def detect() -> Environment:
    """Return the sourced ROS 2 if there is one, else the wheels that ROS_DISTRO names.

    Raise ValueError if ROS_DISTRO names a distribution without wheels, or if the virtual
    environment was made for another distribution.
    """
    distro = os.environ.get('ROS_DISTRO') or WHEEL_DISTROS[0]
    if _ros_is_sourced():
        name = f'{distro}-sourced'
        return Environment(distro, True, ROOT / f'.venv-{name}', ROOT / 'build' / name)
    if distro not in WHEEL_DISTROS:
        raise ValueError(
            f'ROS_DISTRO is {distro!r}, but {sys.executable} cannot import rclpy, and PyPI has'
            f' wheels of {" and ".join(WHEEL_DISTROS)} only.'
            ' Source that ROS 2, or unset ROS_DISTRO.'
        )
    venv = '.venv' if distro == WHEEL_DISTROS[0] else f'.venv-{distro}'
    environment = Environment(distro, False, ROOT / venv, ROOT / 'build' / distro)
    _check_distro(environment)
    return environment


def _check_distro(environment: Environment) -> None:
    """Raise ValueError if the existing virtual environment is of another distribution."""
    if environment.venv.exists() and not environment.venv_stamp.is_file():
        raise ValueError(
            f'{environment.venv.name} was not made for ROS 2 {environment.distro.capitalize()};'
            f' remove it (rm -rf {environment.venv.name}) and run `make setup`.'
        )


def _ros_is_sourced() -> bool:
    """Return whether this shell has sourced a ROS 2 that is not a virtual environment."""
    prefixes = [Path(name) for name in os.environ.get('AMENT_PREFIX_PATH', '').split(':') if name]
    if not prefixes or any((prefix / 'pyvenv.cfg').exists() for prefix in prefixes):
        return False
    command = [sys.executable, '-c', 'import rclpy']
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def shell_lines(environment: Environment, prefixes: Iterable[Path]) -> str:
    """Return the bash lines that enter the environment and colcon's install directories in it.

    ROS traffic stays on this machine, in a domain of its own, and waiting OpenMP threads sleep
    instead of spinning on cores that other processes need.
    """
    variables = {
        'VIRTUAL_ENV': environment.venv,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': free_domain(),
        'OMP_WAIT_POLICY': 'PASSIVE',
    }
    if not environment.sourced:
        variables |= _wheel_variables(environment)
    lines = [f'export {name}={shlex.quote(str(value))}' for name, value in variables.items()]
    programs = f'{environment.venv / "bin"}:{environment.programs}'
    # A Python started from the wheels sets this, and its children then miss their libraries.
    lines.append('unset _ROS_WHEELS_BOOTSTRAP_COMPLETE')
    lines.append(f'export PATH={shlex.quote(programs)}:"$PATH"')
    lines += [f'. {shlex.quote(str(prefix / "local_setup.bash"))}' for prefix in prefixes]
    return '\n'.join(lines)


def _wheel_variables(environment: Environment) -> dict[str, object]:
    """Return the variables that make the virtual environment a ROS prefix."""
    return {
        'ROS_VERSION': 2,
        'ROS_PYTHON_VERSION': 3,
        'ROS_DISTRO': environment.distro,
        'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp',
        'AMENT_PREFIX_PATH': environment.venv,
        'CMAKE_PREFIX_PATH': environment.venv,
        'LD_LIBRARY_PATH': environment.venv / 'lib',
        'PYTHONPATH': '',
    }


def free_domain() -> int:
    """Return a random ROS domain whose first discovery port is free on this machine."""
    domains = random.sample(range(1, LAST_PORTABLE_DOMAIN + 1), LAST_PORTABLE_DOMAIN)
    return next((domain for domain in domains if _discovery_port_is_free(domain)), domains[0])


def _discovery_port_is_free(domain: int) -> bool:
    first_unicast_port = DISCOVERY_PORT_BASE + DISCOVERY_PORTS_PER_DOMAIN * domain + 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', first_unicast_port))
        except OSError:
            return False
    return True
