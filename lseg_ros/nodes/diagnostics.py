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

from lseg_ros.nodes.stream import SegmentationStream

PERIOD_S = 1.0


@dataclass(frozen=True)
class Health:
    """How the node is: a level of DiagnosticStatus, a sentence, and the figures behind it."""

    level: bytes
    message: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class DiagnosticsPublisher:
    """Asks the node how it is, and tells /diagnostics."""

    def __init__(self, node: Node, examine: Callable[[], Health]) -> None:
        """Start a timer on `node` that calls `examine` once a second, whatever the state."""
        self._node = node
        self._examine = examine
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A simulation that stands still must not silence the diagnostics.
        self._timer = node.create_timer(PERIOD_S, self._publish,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        health = self._examine()
        status = DiagnosticStatus(
            level=health.level, message=health.message,
            name=f'{self._node.get_fully_qualified_name().lstrip("/")}: segmentation',
            hardware_id=health.values.get('device', ''),
            values=[KeyValue(key=key, value=value) for key, value in health.values.items()])
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)


def stream_values(stream: SegmentationStream) -> dict[str, str]:
    """Return what a stream did, as diagnostics show it."""
    report = stream.statistics.report()
    return {
        'images received': str(report.received),
        'frames published': str(report.published),
        'images dropped': str(stream.dropped),
        'images bad': str(report.bad),
        'frames failed': str(stream.failed),
        'last problem': stream.last_problem,
        'input rate (Hz)': f'{report.input_rate:.1f}',
        'output rate (Hz)': f'{report.output_rate:.1f}',
        'latency p50 (ms)': f'{report.latency.p50_ms:.1f}',
        'latency p95 (ms)': f'{report.latency.p95_ms:.1f}',
        'processing p50 (ms)': f'{report.processing.p50_ms:.1f}',
        'processing p95 (ms)': f'{report.processing.p95_ms:.1f}',
    }


def memory_values(device: torch.device) -> dict[str, str]:
    """Return the memory in use in MiB: the process's, and the GPU's when there is one."""
    resident_pages = int(Path('/proc/self/statm').read_text().split()[1])
    values = {'memory (MiB)': f'{resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20:.0f}'}
    if device.type == 'cuda':
        values['GPU memory (MiB)'] = f'{torch.cuda.memory_allocated(device) / 2**20:.0f}'
    return values
