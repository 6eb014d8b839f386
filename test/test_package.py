# SPDX-License-Identifier: Apache-2.0
"""What lseg_ros promises as a package: one version, frozen interfaces, declared dependencies."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest

import lseg_ros

ROOT = Path(__file__).resolve().parents[1]
NODES = ROOT / 'lseg_ros' / 'nodes'
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()
ROSDEP_KEYS = {
    'PIL': 'python3-pil',
    'cv2': 'python3-opencv',
    'numpy': 'python3-numpy',
    'pytest': 'python3-pytest',
    'tqdm': 'python3-tqdm',
    'yaml': 'python3-yaml',
}
INTERFACES = {
    'msg.Embedding': {
        'header': 'std_msgs/Header',
        'model': 'string',
        'image_height': 'uint32',
        'image_width': 'uint32',
        'height': 'uint32',
        'width': 'uint32',
        'dim': 'uint32',
        'first_x': 'float',
        'first_y': 'float',
        'step_x': 'float',
        'step_y': 'float',
        'colors': 'sequence<uint8>',
        'data': 'sequence<uint8>',
    },
    'msg.LabelClass': {
        'id': 'uint16',
        'name': 'string',
        'prompts': 'sequence<string>',
        'color': 'std_msgs/ColorRGBA',
        'groups': 'sequence<string>',
    },
    'msg.LabelSet': {'header': 'std_msgs/Header', 'classes': 'sequence<lseg_ros/LabelClass>'},
    'msg.MapAnswer': {
        'prompt': 'string',
        'score': 'float',
        'center': 'geometry_msgs/Point',
        'size': 'geometry_msgs/Vector3',
        'points': 'uint32',
        'has_pose': 'boolean',
        'reason': 'string',
        'pose': 'geometry_msgs/Pose',
    },
    'srv.MapFile.Request': {'path': 'string'},
    'srv.MapFile.Response': {'success': 'boolean', 'message': 'string', 'voxels': 'uint32'},
    'srv.QueryMap.Request': {'prompts': 'sequence<string>', 'top_k': 'uint32', 'minimum_score': 'float'},
    'srv.QueryMap.Response': {
        'success': 'boolean',
        'message': 'string',
        'header': 'std_msgs/Header',
        'answers': 'sequence<lseg_ros/MapAnswer>',
    },
    'srv.SetLabels.Request': {'labels': 'sequence<string>', 'mode': 'string', 'groups': 'sequence<string>'},
    'srv.SetLabels.Response': {'success': 'boolean', 'message': 'string', 'label_set': 'lseg_ros/LabelSet'},
    'srv.SegmentImage.Request': {'image': 'sensor_msgs/Image', 'labels': 'sequence<string>'},
    'srv.SegmentImage.Response': {
        'success': 'boolean',
        'message': 'string',
        'label_image': 'sensor_msgs/Image',
        'confidence': 'sensor_msgs/Image',
        'label_set': 'lseg_ros/LabelSet',
    },
    'srv.EncodeText.Request': {'prompts': 'sequence<string>'},
    'srv.EncodeText.Response': {
        'success': 'boolean',
        'message': 'string',
        'model': 'string',
        'dim': 'uint32',
        'rows': 'sequence<float>',
        'logit_scale': 'float',
    },
    'srv.QueryText.Request': {'prompts': 'sequence<string>', 'camera': 'string'},
    'srv.QueryText.Response': {
        'success': 'boolean',
        'message': 'string',
        'header': 'std_msgs/Header',
        'relevance': 'sequence<sensor_msgs/Image>',
        'peak_relevance': 'sequence<float>',
        'peak_u': 'sequence<uint32>',
        'peak_v': 'sequence<uint32>',
        'peak_point': 'sequence<geometry_msgs/Point>',
    },
}


@cache
def distributions() -> dict[str, list[str]]:
    """Return the distributions that are installed here, by the packages that they contain."""
    return dict(packages_distributions())


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob('*.py'))


@cache
def imported_modules(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere, functions included."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'), str(path))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module)
    return imported


def imported_packages(files: list[Path]) -> set[str]:
    """Return the top-level packages that files import, except Python's and this one."""
    imported = {module.partition('.')[0] for path in files for module in imported_modules(path)}
    return imported - set(sys.stdlib_module_names) - {'__future__', 'lseg_ros'}


def imports_ros(path: Path) -> bool:
    """Return whether a file imports ROS: a client library, messages, services, or our nodes."""
    modules = imported_modules(path)
    generated = {'lseg_ros.msg', 'lseg_ros.srv'} & modules
    below_nodes = {name for name in modules if name.startswith('lseg_ros.nodes.')}
    return bool(generated or below_nodes) or any(is_ros_package(name.partition('.')[0]) for name in modules)


def declared(*tags: str) -> set[str]:
    return {element.text for tag in tags for element in MANIFEST.findall(tag)}


def pip_requirements() -> set[str]:
    """Return the normalised names in all files of requirements/."""
    lines = [
        line
        for path in (ROOT / 'requirements').glob('*.txt')
        for line in path.read_text().splitlines()
        if line and not line.startswith('#')
    ]
    return {normalised(re.split(r'[=<>~!\[; ]', line)[0]) for line in lines}


def normalised(distribution: str) -> str:
    return re.sub(r'[-_.]+', '-', distribution).lower()


def test_the_version_is_the_one_in_package_xml():
    version = MANIFEST.findtext('version')
    setup = subprocess.run([sys.executable, 'setup.py', '--version'], cwd=ROOT, capture_output=True, text=True)
    assert lseg_ros.__version__ == version
    assert setup.stdout.split()[-1:] == [version], setup.stderr


def test_the_newest_release_in_the_changelog_is_the_version_in_package_xml():
    headings = re.findall(r'^(.+)\n-+$', (ROOT / 'CHANGELOG.rst').read_text(), re.M)
    releases = headings[1:] if headings[0] == 'Forthcoming' else headings
    assert all(re.fullmatch(r'\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)', release) for release in releases)
    newest = releases[0].split()[0] if releases else '0.1.0'  # the first release is still to come
    assert MANIFEST.findtext('version') == newest


@pytest.mark.ros
@pytest.mark.parametrize('name', INTERFACES)
def test_interfaces_are_frozen(name):
    kind, *path = name.split('.')
    interface = getattr(pytest.importorskip(f'lseg_ros.{kind}'), path[0])
    for part in path[1:]:
        interface = getattr(interface, part)
    assert interface.get_fields_and_field_types() == INTERFACES[name]


def test_every_interface_is_frozen_here():
    files = [*ROOT.glob('msg/*.msg'), *ROOT.glob('srv/*.srv')]
    defined = {f'{path.suffix[1:]}.{path.stem}' for path in files}
    assert defined == {'.'.join(name.split('.')[:2]) for name in INTERFACES}


@pytest.mark.ros
def test_set_labels_modes():
    request = pytest.importorskip('lseg_ros.srv').SetLabels.Request
    assert (request.MODE_REPLACE, request.MODE_ADD, request.MODE_REMOVE) == ('replace', 'add', 'remove')


def test_only_the_nodes_import_ros():
    rest = [path for path in python_files('lseg_ros') if NODES not in path.parents]
    assert not [str(path.relative_to(ROOT)) for path in rest if imports_ros(path)]


def test_everything_below_nodes_imports_ros():
    modules = [path for path in python_files('lseg_ros/nodes') if path.name != '__init__.py']
    assert not [str(path.relative_to(ROOT)) for path in modules if not imports_ros(path)]


def test_the_package_does_not_import_the_lab():
    assert 'lseg_lab' not in imported_packages(python_files('lseg_ros'))


def test_ros_imports_are_declared_in_package_xml():
    pip_packages = set(distributions())
    imported = imported_packages(python_files('lseg_ros/nodes', 'launch'))
    ros = {name for name in imported if is_ros_package(name) or name not in pip_packages}
    assert ros <= declared('depend', 'exec_depend')


def is_ros_package(name: str) -> bool:
    others = {'rclpy', 'cv_bridge', 'sensor_msgs_py', 'tf2_ros'}
    return name in others or name.endswith(('_msgs', '_srvs', '_interfaces'))


def test_python_imports_are_declared_for_pip_and_rosdep():
    known = pip_requirements()
    pip_imports = {
        name: {normalised(distribution) for distribution in distributions()[name]}
        for name in imported_packages(python_files('lseg_ros'))
        if name in distributions() and not is_ros_package(name)
    }
    undeclared = {name for name, owners in pip_imports.items() if not owners & known}
    assert not undeclared - declared('exec_depend')
    for name in pip_imports.keys() & ROSDEP_KEYS.keys():
        assert ROSDEP_KEYS[name] in declared('exec_depend', 'test_depend')


@pytest.mark.parametrize('program', ['camera_node', 'dashboard', 'lseg', 'map_node', 'segmentation_node'])
def test_programs_run_in_whichever_python_is_active(program):
    script = ROOT / 'scripts' / program
    assert script.read_text().splitlines()[0] == '#!/usr/bin/env python3'
    assert os.access(script, os.X_OK)


@pytest.mark.ros
@pytest.mark.slow
def test_a_robot_gets_neither_the_lab_nor_the_recorded_drive(tmp_path):
    pytest.importorskip('ament_index_python')
    if shutil.which('cmake') is None:
        pytest.skip('needs cmake')
    # Through a link, as CMake exports no include directory that lies in the source tree.
    (tmp_path / 'source').symlink_to(ROOT)
    configure = ['cmake', '-S', tmp_path / 'source', '-B', tmp_path / 'build']
    options = [f'-DPython3_EXECUTABLE={sys.executable}', '-DBUILD_TESTING=OFF']
    subprocess.run([*configure, *options], capture_output=True, check=True)
    rules = (tmp_path / 'build' / 'cmake_install.cmake').read_text()
    sources = set(re.findall(rf'"{re.escape(str(tmp_path))}/source/([^"]+)"', rules))
    assert {'lseg_ros/', 'config', 'launch/lseg.launch.py'} <= sources
    assert not {source for source in sources if source.startswith(('lab', 'demo', 'launch/demo'))}


@pytest.mark.ros
def test_colcon_installs_code_interfaces_programs_and_data():
    packages = pytest.importorskip('ament_index_python.packages')
    prefix = Path(packages.get_package_prefix('lseg_ros'))
    share = Path(packages.get_package_share_directory('lseg_ros'))
    programs = {path.name for path in (prefix / 'lib' / 'lseg_ros').iterdir()}
    assert programs == {path.name for path in (ROOT / 'scripts').iterdir()}
    for folder in ('launch', 'config'):
        sources = {path.name for path in (ROOT / folder).iterdir() if path.suffix != '.pyc'}
        assert sources - {'__pycache__'} <= {path.name for path in (share / folder).iterdir()}
    program = 'import lseg_ros, lseg_ros.srv; print(lseg_ros.__file__, lseg_ros.__version__)'
    found = subprocess.run([sys.executable, '-c', program], cwd=share, capture_output=True, text=True, check=True)
    assert found.stdout.split()[0].startswith(str(prefix))
    assert found.stdout.split()[1] == lseg_ros.__version__
