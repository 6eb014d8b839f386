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
WHEEL_DISTROS = ('kilted', 'jazzy')
DISCOVERY_PORT_BASE, DISCOVERY_PORTS_PER_DOMAIN = 7400, 250
LAST_PORTABLE_DOMAIN = 101


@dataclass(frozen=True)
class Environment:
    """One ROS 2 to build and run with: its distribution and the directories it is kept in."""

    distro: str
    sourced: bool
    venv: Path
    build: Path

    @property
    def title(self) -> str:
        """What is used and where from, for a person."""
        origin = 'as sourced' if self.sourced else f'PyPI wheels in {self.venv.name}'
        return f'ROS 2 {self.distro.capitalize()}, {origin}'

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.venv / 'bin' / 'python'

    @property
    def overlay(self) -> Path:
        """Where the stand-ins for packages that PyPI lacks are installed."""
        return self.venv / 'overlay'

    @property
    def underlays(self) -> list[Path]:
        """The install directories that lseg_ros is built upon."""
        return [] if self.sourced else [self.overlay]

    @property
    def install(self) -> Path:
        """Where colcon installs lseg_ros."""
        return self.build / 'install'


def detect() -> Environment:
    """Return the sourced ROS 2 when there is one, else the wheels that ROS_DISTRO names.

    Raises ValueError when ROS_DISTRO names a distribution that has no wheels.
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
    return Environment(distro, False, ROOT / venv, ROOT / 'build' / distro)


def _ros_is_sourced() -> bool:
    """Tell whether this shell has a ROS 2, other than wheels in a virtual environment."""
    prefixes = [Path(name) for name in os.environ.get('AMENT_PREFIX_PATH', '').split(':') if name]
    if not prefixes or any((prefix / 'pyvenv.cfg').exists() for prefix in prefixes):
        return False
    command = [sys.executable, '-c', 'import rclpy']
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def shell_lines(environment: Environment, prefixes: Iterable[Path]) -> str:
    """Return the bash lines that enter the environment and colcon's install directories in it.

    Traffic stays on this machine, in a domain that nothing else uses, and OpenMP threads sleep
    rather than spin while another process needs the cores.
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
    # Left by a Python of the wheels, it keeps the next from finding their libraries.
    lines.append('unset _ROS_WHEELS_BOOTSTRAP_COMPLETE')
    lines.append(f'export PATH={shlex.quote(str(environment.venv / "bin"))}:"$PATH"')
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
