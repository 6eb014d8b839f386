# SPDX-License-Identifier: Apache-2.0
"""Quality of service of latched topics: whoever subscribes later gets the last message."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from lseg_ros.core.table_history import KEPT


def _latched(depth: int) -> QoSProfile:
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


LATCHED = _latched(1)
# For consumers that pair frames with their label tables. With a depth of one, a table that comes
# while the consumer is busy replaces the one before, whose frames are then read under an older one.
EVERY_TABLE = _latched(KEPT)
