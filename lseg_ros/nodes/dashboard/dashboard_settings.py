# SPDX-License-Identifier: Apache-2.0
"""The parameters of the dashboard."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial

from lseg_ros.nodes.parameters import Applies, Parameters, parameter

_at_start = partial(parameter, applies=Applies.AT_START)


@dataclass(frozen=True)
class DashboardSettings:
    """The values of all parameters; the fields are the table of parameters."""

    segmentation_node: str = _at_start('lseg', 'Name of the segmentation node that the page shows.')
    map_node: str = _at_start('lseg_map', 'Name of the map node, whose part of the page appears while it runs.')
    host: str = _at_start('127.0.0.1', 'Address to serve the page on; 0.0.0.0: all addresses of this machine.')
    port: int = _at_start(8090, 'Port to serve the page on; 0: any free one.', range=(0, 65535))
    token: str = _at_start(
        '', 'What opens the page if host is not loopback; empty: a new random one at each start, which the log shows.'
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        if self.host == 'localhost':
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


DASHBOARD_PARAMETERS = Parameters(DashboardSettings)
