# SPDX-License-Identifier: Apache-2.0
"""The state of the node on /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import ROSClock
from rclpy.node import Node

from lseg_ros.nodes.steady import steady_timer

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

        `examine` returns the health of each part by its name, first that of the node as a whole.
        """
        self._node = node
        self._examine = examine
        self._said: tuple[str, ...] = ()  # troubles that the log has
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = steady_timer(node, PERIOD_S, self._publish)

    def _publish(self) -> None:
        parts = dict(self._examine())
        whole = next(iter(parts))
        for trouble in self._troubles():
            parts[whole] = _troubled(parts[whole], trouble)
        array = DiagnosticArray(status=[self._status(part, health) for part, health in parts.items()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _troubles(self) -> tuple[str, ...]:
        """Return what is wrong with the surroundings of the node; log what is new."""
        found = []
        name = self._node.get_name(), self._node.get_namespace()
        if self._node.get_node_names_and_namespaces().count(name) > 1:
            found.append(
                f'two nodes are called {self._node.get_fully_qualified_name()}: both publish and answer calls, so '
                'stop one (a killed one is listed for up to 20 s)'
            )
        clock = self._node.get_clock()
        if isinstance(clock, ROSClock) and clock.ros_time_is_active and not clock.now().nanoseconds:
            found.append('use_sim_time is true, but nothing has sent /clock')
        for trouble in found:
            if trouble not in self._said:
                self._node.get_logger().warning(trouble)
        self._said = tuple(found)
        return self._said

    def _status(self, part: str, health: Health) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=health.level,
            message=health.message,
            name=f'{self._node.get_fully_qualified_name().lstrip("/")}: {part}',
            hardware_id=health.values.get('device', ''),
            values=[KeyValue(key=key, value=value) for key, value in health.values.items()],
        )


def _troubled(health: Health, trouble: str) -> Health:
    return Health(max(health.level, DiagnosticStatus.WARN), f'{health.message}; {trouble}', health.values)
