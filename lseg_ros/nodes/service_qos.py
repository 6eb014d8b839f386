# SPDX-License-Identifier: Apache-2.0
"""Quality of service of services and of their clients."""

from __future__ import annotations

from rclpy.qos import QoSProfile, ReliabilityPolicy

# Requests wait in this queue while a node is busy. Each client's queue receives the responses to
# all clients, and its own must not be pushed out while its executor is busy. With ROS's depth of
# 10 the eleventh is lost, and nobody is told.
SERVICE_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
