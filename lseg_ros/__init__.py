# SPDX-License-Identifier: Apache-2.0
"""Language-driven semantic segmentation (LSeg) for ROS 2."""

from importlib import metadata
from pathlib import Path
from pkgutil import extend_path
from xml.etree import ElementTree

# A source checkout finds the generated lseg_ros.msg and lseg_ros.srv in the colcon install.
__path__ = extend_path(__path__, __name__)


def _version() -> str:
    """Return the version that package.xml states, wherever this package lies."""
    manifest = Path(__file__).parents[1] / 'package.xml'
    if manifest.is_file():
        return ElementTree.parse(manifest).findtext('version', '')
    return metadata.version(__name__)


__version__ = _version()
