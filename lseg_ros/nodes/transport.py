# SPDX-License-Identifier: Apache-2.0
"""What each middleware needs in order not to lose large messages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rclpy.utilities import get_rmw_implementation_identifier

# Where Fast DDS looks for a profile: version 2 (Jazzy), or version 3, which warns if both are set.
PROFILE_VARIABLE = (
    'FASTRTPS_DEFAULT_PROFILES_FILE' if os.environ.get('ROS_DISTRO') == 'jazzy' else 'FASTDDS_DEFAULT_PROFILES_FILE'
)

# Fast DDS's default shared memory: larger messages go over UDP, in pieces that may be lost.
DEFAULT_MEMORY = 512 * 1024


@dataclass(frozen=True)
class Configuration:
    """The environment variables that configure a middleware, and what happens without them."""

    variables: tuple[str, ...]
    loss: str


# By the prefix of the implementation's identifier, because Fast DDS has two.
_CONFIGURATIONS = MappingProxyType(
    {
        'rmw_fastrtps': Configuration(
            (PROFILE_VARIABLE,), 'Fast DDS loses large images without the profile config/fastdds.xml'
        ),
        'rmw_cyclonedds': Configuration(
            ('CYCLONEDDS_URI',), 'Cyclone DDS may lose large images without larger receive buffers'
        ),
        'rmw_zenoh': Configuration(
            ('ZENOH_CONFIG_OVERRIDE', 'ZENOH_SESSION_CONFIG_URI'),
            'Zenoh may drop large images under its default congestion control',
        ),
    }
)


def use_profile(path: Path) -> None:
    """Let this process and its children use the profile at `path`, unless they have one already."""
    os.environ.setdefault(PROFILE_VARIABLE, str(path))


def loss_hint(by_others: bool = False) -> str:
    """Return why large messages may be lost on the way, in brackets.

    It is empty if this process, which sends them, is configured. Nothing is known of the settings
    of other processes: `by_others` says that they send.
    """
    middleware = get_rmw_implementation_identifier()
    for start, configuration in _CONFIGURATIONS.items():
        is_set = not by_others and any(name in os.environ for name in configuration.variables)
        if middleware.startswith(start) and not is_set:
            return f' ({configuration.loss}: see docs/troubleshooting.md)'
    return ''
