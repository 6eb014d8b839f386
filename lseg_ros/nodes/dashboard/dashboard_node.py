# SPDX-License-Identifier: Apache-2.0
"""The dashboard as a node: a client of the other nodes that serves a page."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from rclpy.node import Node

from lseg_ros.nodes.dashboard.dashboard_settings import DASHBOARD_PARAMETERS
from lseg_ros.nodes.dashboard.map_link import MapLink
from lseg_ros.nodes.dashboard.robot import Robot
from lseg_ros.nodes.process import run_node

MISSING = 'dashboard: NiceGUI is not installed: pip install nicegui==3.18.0'


class DashboardNode(Node):
    """Serves the page of one segmentation node."""

    def __init__(self, **options: Any) -> None:
        """Start serving; raise OSError if the address cannot be used."""
        super().__init__('dashboard', **options)
        from lseg_ros.nodes.dashboard.server import DashboardServer  # needs NiceGUI

        DASHBOARD_PARAMETERS.declare(self)
        settings = DASHBOARD_PARAMETERS.read(self)
        self._robot = Robot(self, settings.segmentation_node)
        self._server = DashboardServer(self._robot, MapLink(self, settings.map_node), settings)
        self.get_logger().info(f'open {self._server.address} in a browser')

    def close(self) -> None:
        """Stop serving."""
        self._server.close()
        self._robot.close()  # may have to wait for a node that does not answer


def main() -> int:
    """Run the dashboard until it is told to stop; return the exit code."""
    if importlib.util.find_spec('nicegui') is None:
        print(MISSING, file=sys.stderr)
        return 2
    return run_node('dashboard', DashboardNode, close=DashboardNode.close)
