# SPDX-License-Identifier: Apache-2.0
"""The steps from a bare Python to a built lseg_ros: virtual environment, wheels, colcon."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from . import cmake_paths
from .environment import ROOT, Environment, shell_lines
from .steps import Step, fingerprint

PINS = Path(__file__).parent / 'pins'
STAND_INS = Path(__file__).parent / 'overlay'
LAB = ROOT / 'lab'
REQUIREMENTS = [*sorted((ROOT / 'requirements').glob('*.txt')), LAB / 'requirements.txt']
OWN_PACKAGES = {'lseg_ros'}  # built here, not fetched
WHEELS_PYTHON = ((3, 10), (3, 13))

INCLUDES_PROGRAM = """
import json, numpy, sysconfig
print(json.dumps([sysconfig.get_path("include"), numpy.get_include()]))
"""
SYSTEM_PACKAGES_PROGRAM = """
import importlib.util, json
found = {}
if importlib.util.find_spec("numpy"):
    import numpy
    found["numpy"] = numpy.__version__
if importlib.util.find_spec("cv2"):
    found["opencv-python-headless"] = None
print(json.dumps(found))
"""


def steps(environment: Environment) -> list[Step]:
    """Return the steps that set the environment up, in order."""
    if environment.sourced:
        return [_venv(environment), _python_packages(environment), _package(environment), _lab(environment)]
    return [
        _venv(environment),
        _python_packages(environment),
        _ros_wheels(environment),
        _stand_ins(environment),
        _package(environment),
        _lab(environment),
    ]


def _venv(environment: Environment) -> Step:
    return Step(
        name=environment.venv_stamp.name,
        title=f'Virtual environment {environment.venv.name}',
        inputs=fingerprint([], sys.version),
        product=environment.python,
        action=lambda: _create_venv(environment),
        mend='The venv module of Python is needed (Debian: apt install python3-venv), and for the'
        ' wheels Python 3.10 to 3.13; `make PYTHON=python3.12` chooses another interpreter.',
    )


def _create_venv(environment: Environment) -> None:
    if environment.python.exists():
        _check_python_version(environment)
        return
    first, last = WHEELS_PYTHON
    if not environment.sourced and not first <= sys.version_info[:2] <= last:
        raise OSError(f'there are no ROS wheels for Python {sys.version.split()[0]}')
    command = [sys.executable, '-m', 'venv', str(environment.venv)]
    if environment.sourced:
        command.append('--system-site-packages')
    if importlib.util.find_spec('ensurepip'):
        subprocess.run(command, check=True)
        return
    # Debian leaves ensurepip out of a Python without python3-venv, but its pip can stand in.
    subprocess.run([*command, '--without-pip'], check=True)
    pip = [sys.executable, '-m', 'pip', '--python', str(environment.python)]
    subprocess.run([*pip, 'install', 'pip'], check=True)


def _check_python_version(environment: Environment) -> None:
    """Raise OSError if the existing environment was made for another Python than this one."""
    version = _python_output(environment, 'import sys; print(sys.version)').strip()
    if version != sys.version:
        raise OSError(
            f'{environment.venv} was made for Python {version.split()[0]}, and this is'
            f' {sys.version.split()[0]}; remove it first'
        )


def _python_packages(environment: Environment) -> Step:
    return Step(
        name='python-packages',
        title='Python packages (PyTorch is the large one, some 4 GB)',
        inputs=fingerprint(REQUIREMENTS, sys.version),
        product=environment.python,
        action=lambda: _install_python_packages(environment),
        mend="pip's last lines above say why; the network and 8 GB of disk are needed.",
    )


def _install_python_packages(environment: Environment) -> None:
    present = {}
    if environment.sourced:
        present = json.loads(_python_output(environment, SYSTEM_PACKAGES_PROGRAM))
    wanted = [line for path in REQUIREMENTS for line in _requirements(path)]
    _pip_install(environment, _keeping_system_packages(wanted, present))


def _requirements(path: Path) -> list[str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith('#')]
    return [line for line in lines if _distribution(line) not in OWN_PACKAGES]


def _distribution(requirement: str) -> str:
    """Return the name in a line of a requirements file."""
    return re.split(r'[ <>=!~;\[]', requirement, maxsplit=1)[0]


def _keeping_system_packages(wanted: list[str], present: dict[str, str | None]) -> list[str]:
    """Return the requirements without those that a sourced ROS 2 provides.

    Its cv_bridge is compiled against the system's NumPy, so NumPy stays at that version, and pip
    does not know the system's OpenCV.
    """
    kept = [line for line in wanted if _distribution(line) not in present]
    return kept + [f'{name}=={version}' for name, version in present.items() if version]


def _ros_wheels(environment: Environment) -> Step:
    pins = _pins(environment)
    return Step(
        name='ros-wheels',
        title=f'ROS 2 {environment.distro.capitalize()} wheels and colcon',
        inputs=fingerprint(pins, sys.version),
        product=environment.venv / 'share' / 'rclpy',
        action=lambda: _install_ros_wheels(environment, pins),
        mend="pip's last lines above say why. The wheels are for CPython 3.10 to 3.13 on x86-64"
        ' Linux; elsewhere source a ROS 2 installation first.',
    )


def _pins(environment: Environment) -> list[Path]:
    """Return the files that pin what an environment is built with."""
    if environment.sourced:
        return []
    return [PINS / 'build.txt', PINS / f'{environment.distro}.txt']


def _install_ros_wheels(environment: Environment, pins: list[Path]) -> None:
    _pip_install(environment, [argument for path in pins for argument in ('-r', str(path))])
    python_include, numpy_include = json.loads(_python_output(environment, INCLUDES_PROGRAM))
    if not (Path(python_include) / 'Python.h').is_file():
        raise OSError(f'no Python.h in {python_include} (Debian: apt install python3-dev)')
    cmake_paths.relocate(environment.venv, Path(python_include), Path(numpy_include))


def _stand_ins(environment: Environment) -> Step:
    sources = [path for path in _source_paths(STAND_INS) if path.is_file()]
    return Step(
        name='stand-ins',
        title='Stand-ins for vision_msgs, cv_bridge, sensor_msgs_py and tf2',
        inputs=fingerprint([*sources, *_pins(environment)], sys.version),
        product=environment.overlay / 'local_setup.bash',
        action=lambda: _build_stand_ins(environment),
        mend="colcon's output above says why; gcc, g++ and cmake are needed.",
    )


def _build_stand_ins(environment: Environment) -> None:
    options = ['--merge-install', '--install-base', str(environment.overlay)]
    packages = sorted(str(path.parent) for path in STAND_INS.glob('*/package.xml'))
    _colcon_build(environment, shell_lines(environment, []), packages, options, 'stand_ins')


def _package(environment: Environment) -> Step:
    built = [ROOT / 'package.xml', ROOT / 'CMakeLists.txt', *_pins(environment)]
    built += [path for folder in ('msg', 'srv') for path in (ROOT / folder).iterdir()]
    linked = (ROOT / folder for folder in ('config', 'launch', 'lseg_ros', 'scripts'))
    names = [str(path) for folder in linked for path in _source_paths(folder)]
    return Step(
        name=f'package-{environment.build.name}',
        title='lseg_ros (colcon build)',
        inputs=fingerprint(built, *sorted(names), sys.version),
        product=environment.install / 'local_setup.bash',
        action=lambda: _build_package(environment),
        mend="colcon's output above says why; gcc, g++ and cmake are needed.",
    )


def _lab(environment: Environment) -> Step:
    return Step(
        name='lab',
        title='lseg-lab (pip, editable)',
        inputs=fingerprint([LAB / 'pyproject.toml'], sys.version),
        product=environment.python,
        action=lambda: _pip_install(
            environment, ['--quiet', '--no-deps', '--no-build-isolation', '--editable', str(LAB)]
        ),
        mend="pip's last lines above say why.",
    )


def _source_paths(folder: Path) -> list[Path]:
    """Return everything below a folder except Python's caches."""
    return [path for path in folder.rglob('*') if '__pycache__' not in path.parts]


def _build_package(environment: Environment) -> None:
    # CMake refuses to export an include directory inside the source tree, such as NumPy's in a
    # virtual environment in the checkout. Behind a symbolic link, it no longer looks inside.
    source = environment.build / 'src' / 'lseg_ros'
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_symlink():
        source.symlink_to(os.path.relpath(ROOT, source.parent))
    entered = shell_lines(environment, environment.underlays)
    options = ['--symlink-install', '--install-base', str(environment.install)]
    _colcon_build(environment, entered, [str(source)], options, 'package', '-DLSEG_ROS_DEMO=ON')


def _colcon_build(
    environment: Environment, entered: str, packages: list[str], options: list[str], name: str, *definitions: str
) -> None:
    """Build packages in a shell prepared by the lines `entered`; `name` is their build folder."""
    work = environment.build / name
    command = ['colcon', '--log-level', 'error', '--log-base', str(work / 'log'), 'build']
    command += ['--paths', *packages, '--build-base', str(work), *options, '--cmake-args']
    command += [f'-DPython3_EXECUTABLE={environment.python}', '-DBUILD_TESTING=OFF', *definitions]
    shell = ['bash', '-c', f'{entered}\nexec "$@"', 'bash']
    subprocess.run([*shell, *command], check=True, cwd=ROOT)


def _pip_install(environment: Environment, arguments: list[str]) -> None:
    command = [str(environment.python), '-m', 'pip', 'install', '--no-warn-script-location']
    subprocess.run([*command, *arguments], check=True)


def _python_output(environment: Environment, program: str) -> str:
    command = [str(environment.python), '-c', program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
