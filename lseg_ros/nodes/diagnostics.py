# SPDX-License-Identifier: Apache-2.0
"""The node's state on /diagnostics, once a second."""
from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lseg_ros.nodes.camera_stream import CameraStream

PERIOD_S = 1.0


@dataclass(frozen=True)
class Health:
    """How the node is: a level of DiagnosticStatus, a sentence, and the figures behind it."""

    level: bytes
    message: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class DiagnosticsPublisher:
    """Asks the node how it and its parts are, and tells /diagnostics."""

    def __init__(self, node: Node, examine: Callable[[], Mapping[str, Health]]) -> None:
        """Start a timer on `node` that calls `examine` once a second, whatever the state.

        `examine` returns the health of each part by its name.
        """
        self._node = node
        self._examine = examine
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A simulation that stands still must not silence the diagnostics.
        self._timer = node.create_timer(PERIOD_S, self._publish,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        array = DiagnosticArray(status=[self._status(part, health)
                                        for part, health in self._examine().items()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _status(self, part: str, health: Health) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=health.level, message=health.message,
            name=f'{self._node.get_fully_qualified_name().lstrip("/")}: {part}',
            hardware_id=health.values.get('device', ''),
            values=[KeyValue(key=key, value=value) for key, value in health.values.items()])


def camera_health(camera: CameraStream, why_silent: Callable[[], str],
                  image_timeout: float) -> Health:
    """Return how the images of a camera fare whose stream runs.

    `why_silent` is asked when none came for `image_timeout` seconds.
    """
    values = camera_values(camera)
    silence = camera.statistics.seconds_since_image()
    if silence > image_timeout:
        return Health(DiagnosticStatus.WARN,
                      f'silent: no image for {silence:.0f} s; {why_silent()}', values)
    if camera.last_problem and not camera.statistics.report().output_rate:
        return Health(DiagnosticStatus.WARN, f'silent: {camera.last_problem}', values)
    return Health(DiagnosticStatus.OK, 'segmenting', values)


def joint_condition(cameras: Mapping[str, Health]) -> tuple[bytes, str]:
    """Return level and message of all cameras together, by name; names stand before troubles."""
    troubles = [f'{name}: {health.message}' if name else health.message
                for name, health in cameras.items() if health.level != DiagnosticStatus.OK]
    if troubles:
        return DiagnosticStatus.WARN, '; '.join(troubles)
    return DiagnosticStatus.OK, 'segmenting'


def camera_values(camera: CameraStream) -> dict[str, str]:
    """Return what became of a camera's images, as diagnostics show it."""
    report = camera.statistics.report()
    return {
        'images received': str(report.received),
        'frames published': str(report.published),
        'images dropped': str(report.dropped),
        'images bad': str(report.bad),
        'frames failed': str(report.failed),
        'stamps running back': str(report.time_jumps),
        'last problem': camera.last_problem,
        'input rate (Hz)': f'{report.input_rate:.1f}',
        'output rate (Hz)': f'{report.output_rate:.1f}',
        'latency p50 (ms)': f'{report.latency.p50_ms:.1f}',
        'latency p95 (ms)': f'{report.latency.p95_ms:.1f}',
        'processing p50 (ms)': f'{report.processing.p50_ms:.1f}',
        'processing p95 (ms)': f'{report.processing.p95_ms:.1f}',
    } | camera.geometry.values()


def memory_values(device: torch.device) -> dict[str, str]:
    """Return the memory in use in MiB: the process's, and the GPU's when there is one."""
    resident_pages = int(Path('/proc/self/statm').read_text().split()[1])
    values = {'memory (MiB)': f'{resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20:.0f}'}
    if device.type == 'cuda':
        values['GPU memory (MiB)'] = f'{torch.cuda.memory_allocated(device) / 2**20:.0f}'
    return values
