# SPDX-License-Identifier: Apache-2.0
"""The transport profile with which Fast DDS loses no large messages."""

from __future__ import annotations

import os
from pathlib import Path

from rclpy.utilities import get_rmw_implementation_identifier

# Where Fast DDS looks for a profile: version 2 (Jazzy), or version 3, which warns if both are set.
PROFILE_VARIABLE = (
    'FASTRTPS_DEFAULT_PROFILES_FILE' if os.environ.get('ROS_DISTRO') == 'jazzy' else 'FASTDDS_DEFAULT_PROFILES_FILE'
)


def use_profile(path: Path) -> None:
    """Let this process and its children use the profile at `path`, unless they have one already."""
    os.environ.setdefault(PROFILE_VARIABLE, str(path))


def loss_hint() -> str:
    """Return why images may be lost on the way, in brackets; empty if they should not be."""
    if not get_rmw_implementation_identifier().startswith('rmw_fastrtps') or PROFILE_VARIABLE in os.environ:
        return ''
    return ' (Fast DDS loses large images without the profile config/fastdds.xml: see docs/troubleshooting.md)'
