# SPDX-License-Identifier: Apache-2.0
"""Put this machine's include directories into the CMake files that the ROS wheels export."""

from __future__ import annotations

import re
from pathlib import Path

# The wheels were built in a container where each Python lies under /opt/python.
BUILDER_NUMPY_INCLUDE = re.compile(r'/opt/python/[^;\"]*/numpy/_?core/include')
BUILDER_PYTHON_INCLUDE = re.compile(r'/opt/python/[^;\"]*/include/python3\.\d+')


def relocate(prefix: Path, python_include: Path, numpy_include: Path) -> int:
    """Replace the builder's include directories below `prefix`; return how many files changed."""
    changed = 0
    for path in sorted(prefix.glob('share/*/cmake/*Export*.cmake')):
        exported = path.read_text()
        relocated = BUILDER_NUMPY_INCLUDE.sub(str(numpy_include), exported)
        relocated = BUILDER_PYTHON_INCLUDE.sub(str(python_include), relocated)
        if relocated != exported:
            path.write_text(relocated)
            changed += 1
    return changed
