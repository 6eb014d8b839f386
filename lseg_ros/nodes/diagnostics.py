# SPDX-License-Identifier: Apache-2.0
"""The state of the node on /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

PERIOD_S = 1.0


@dataclass(frozen=True)
class Health:
    """A level of DiagnosticStatus, a sentence, and the figures behind it."""

    level: bytes
    message: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class DiagnosticsPublisher:
    """Publishes the health of the node and its parts on /diagnostics."""

    def __init__(self, node: Node, examine: Callable[[], Mapping[str, Health]]) -> None:
        """Start a timer on `node` that calls `examine` once a second, whatever the state.

        `examine` returns the health of each part by its name.
        """
        self._node = node
        self._examine = examine
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A paused simulation must not silence the diagnostics.
        self._timer = node.create_timer(PERIOD_S, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        array = DiagnosticArray(status=[self._status(part, health) for part, health in self._examine().items()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _status(self, part: str, health: Health) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=health.level,
            message=health.message,
            name=f'{self._node.get_fully_qualified_name().lstrip("/")}: {part}',
            hardware_id=health.values.get('device', ''),
            values=[KeyValue(key=key, value=value) for key, value in health.values.items()],
        )
