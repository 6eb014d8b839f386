# SPDX-License-Identifier: Apache-2.0
"""Install lseg_ros with pip, for use without ROS: `import lseg_ros.model` and the command `lseg`.

On a robot, colcon builds the package from CMakeLists.txt instead.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
MANIFEST = ElementTree.parse(ROOT / 'package.xml')


def requirements(name: str) -> list[str]:
    """Return the requirements listed in requirements/<name>.txt."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name='lseg_ros',
    version=MANIFEST.findtext('version'),
    description=' '.join(MANIFEST.findtext('description').split()),
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['lseg_ros', 'lseg_ros.*']),
    include_package_data=True,  # MANIFEST.in: the weights
    data_files=[
        (  # the directory that colcon uses, too
            'share/lseg_ros/config/labels',
            sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('config/labels/*.yaml')),
        )
    ],
    install_requires=requirements('runtime'),
    extras_require={name: requirements(name) for name in ('dashboard', 'demo', 'drive', 'onnx', 'test', 'view')},
    entry_points={'console_scripts': ['lseg = lseg_ros.cli:main']},
)
