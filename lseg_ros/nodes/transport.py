# SPDX-License-Identifier: Apache-2.0
"""The way that images take between processes: a profile with which Fast DDS loses none."""
from __future__ import annotations

import os
from pathlib import Path

from rclpy.utilities import get_rmw_implementation_identifier

# Where Fast DDS looks for a profile: version 3 (Kilted, Rolling), and version 2 (Jazzy).
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')


def use_profile(path: Path) -> None:
    """Let this process, and those it starts, use the profile at `path` unless they have one."""
    for name in PROFILE_VARIABLES:
        os.environ.setdefault(name, str(path))


def loss_hint() -> str:
    """Say why images may get lost on their way here, in brackets; empty where they should not."""
    if (not get_rmw_implementation_identifier().startswith('rmw_fastrtps')
            or any(name in os.environ for name in PROFILE_VARIABLES)):
        return ''
    return ' (Fast DDS loses large ones without the profile config/fastdds.xml: see the README)'
