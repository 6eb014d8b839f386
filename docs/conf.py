# SPDX-License-Identifier: Apache-2.0
"""Sphinx settings: `sphinx-build -W --keep-going -b html docs build/docs/html`.

The site builds without ROS and without PyTorch: packages that are not installed are mocked.
rosdoc2, which docs.ros.org uses, executes this file within settings of its own, in a copy of this
folder.
"""

from __future__ import annotations

import pkgutil
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'lseg_ros').is_dir():  # with rosdoc2 the package is installed
    sys.path.insert(0, str(ROOT))

project = 'lseg_ros'
author = 'The lseg_ros authors'
copyright = author
language = 'en'

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
exclude_patterns = [  # what rosdoc2 adds and these pages have already
    '__readme_include.rst',
    'lseg_ros*.rst',
    'modules.rst',
    'standard_docs',
    'standards.rst',
]
myst_enable_extensions = ['colon_fence']
myst_heading_anchors = 4
html_theme = 'furo' if find_spec('furo') else 'sphinx_rtd_theme'
html_title = 'lseg_ros'

default_role = 'code'  # single backticks in docstrings
autodoc_typehints_format = 'short'
maximum_signature_line_length = 88
MOCKED_UNLESS_INSTALLED = (
    'cv_bridge',
    'huggingface_hub',
    'onnxruntime',
    'open_clip',
    'openvino',
    'rclpy',
    'rosbags',
    'safetensors',
    'sensor_msgs',
    'timm',
    'tokenizers',
    'torch',
    'torchvision',
    'tqdm',
)
# A literal, or a character that reStructuredText would take for markup.
_LITERAL_OR_MARKUP = re.compile(r'(``?[^`]+``?)|((?<!\\)[|*](?=\S))')
API_PACKAGES = ('core', 'mapping', 'labels', 'model', 'media', 'backends')
API_PACKAGE = """\
{name}
{underline}

.. automodule:: {name}

"""
API_MODULE = """\
{name}
{underline}

.. automodule:: {name}
   :members:
   :ignore-module-all:
   :member-order: bysource
   :show-inheritance:
"""


def write_api_pages(app: Sphinx) -> None:
    """Write generated/PACKAGE.rst for each package of the API, with all of its modules."""
    import lseg_ros

    folder = Path(app.srcdir) / 'generated'
    folder.mkdir(exist_ok=True)
    for package in API_PACKAGES:
        title = f'lseg_ros.{package}'
        modules = pkgutil.iter_modules([str(Path(lseg_ros.__file__).parent / package)])
        names = [f'{title}.{module.name}' for module in modules]
        page = API_PACKAGE.format(name=title, underline='=' * len(title))
        page += '\n'.join(API_MODULE.format(name=name, underline='-' * len(name)) for name in names)
        path = folder / f'{package}.rst'
        if not path.is_file() or path.read_text(encoding='utf-8') != page:
            path.write_text(page, encoding='utf-8')


def restore_root_pages(app: Sphinx) -> None:
    """Put the files that docs includes from the root where a copy made by rosdoc2 finds them."""
    source = Path(app.srcdir)
    for path in (source / 'standard_docs' / 'original').glob('C*'):
        shutil.copy(path, source.parent)


def escape_markup(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Escape | and * in docstrings, which mean nothing in them, outside of literals."""
    lines[:] = [_LITERAL_OR_MARKUP.sub(lambda found: found[1] or f'\\{found[2]}', line) for line in lines]


def mock_missing_packages(app: Sphinx, config: Config) -> None:
    """Mock what is not installed, after rosdoc2 has made its own choice."""
    missing = [name for name in MOCKED_UNLESS_INSTALLED if find_spec(name) is None]
    config.autodoc_mock_imports = sorted({*config.autodoc_mock_imports, *missing})


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect('config-inited', mock_missing_packages)
    app.connect('builder-inited', write_api_pages)
    app.connect('builder-inited', restore_root_pages)
    app.connect('autodoc-process-docstring', escape_markup, priority=100)  # before napoleon
