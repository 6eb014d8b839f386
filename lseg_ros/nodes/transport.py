# SPDX-License-Identifier: Apache-2.0
"""The way that images take between processes: a profile with which Fast DDS loses none."""

from __future__ import annotations

import os
from pathlib import Path

from rclpy.utilities import get_rmw_implementation_identifier

# Where Fast DDS looks for a profile: version 2, of Jazzy, and version 3, which complains of both.
PROFILE_VARIABLE = (
    'FASTRTPS_DEFAULT_PROFILES_FILE'
    if os.environ.get('ROS_DISTRO') == 'jazzy'
    else 'FASTDDS_DEFAULT_PROFILES_FILE'
)


def use_profile(path: Path) -> None:
    """Let this process, and those it starts, use the profile at `path` unless they have one."""
    os.environ.setdefault(PROFILE_VARIABLE, str(path))


def loss_hint() -> str:
    """Say why images may get lost on their way here, in brackets; empty where they should not."""
    if (
        not get_rmw_implementation_identifier().startswith('rmw_fastrtps')
        or PROFILE_VARIABLE in os.environ
    ):
        return ''
    return ' (Fast DDS loses large ones without the profile config/fastdds.xml: see the README)'
