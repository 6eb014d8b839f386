# SPDX-License-Identifier: Apache-2.0
"""The health of the node and its cameras: segmenting, or silent and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diagnostic_msgs.msg import DiagnosticStatus

from lseg_ros.nodes.diagnostics import Health
from lseg_ros.nodes.segmentation.camera_input import CameraInput
from lseg_ros.nodes.segmentation.camera_stream import CameraStream
from lseg_ros.nodes.segmentation.frames import LabelTable
from lseg_ros.nodes.segmentation.settings import Settings
from lseg_ros.nodes.segmentation.stream import SegmentationStream
from lseg_ros.nodes.transport import loss_hint

WHOLE = 'segmentation'  # the part that stands for the node as a whole


@dataclass(frozen=True)
class NodeState:
    """What the health of a node depends on.

    `table` is None before the first labels, `stream` while the node is unconfigured; `inputs` is
    empty unless it is active. `last_failure` says why the last transition failed, if it did.
    """

    settings: Settings
    table: LabelTable | None
    stream: SegmentationStream | None
    inputs: Sequence[CameraInput]
    is_enabled: bool
    last_failure: str

    @property
    def silence(self) -> str:
        """Why the node is silent in this state; empty if it should be segmenting."""
        if self.stream is None:
            return 'silent: unconfigured'
        if not self.inputs:
            return 'silent: inactive'
        return '' if self.is_enabled else 'silent: disabled by ~/enable'


def examine(state: NodeState) -> dict[str, Health]:
    """Return the health of the node, under `WHOLE`, and of each named camera."""
    cameras = _examine_cameras(state)
    level, message = _condition(state, cameras)
    values = {'model': state.settings.model}
    if state.table is not None:
        values['labels'] = ', '.join(state.table.labels.names)
    if state.stream is not None:
        network = state.stream.segmenter.model
        values |= {'device': str(network.device), 'precision': str(network.dtype).removeprefix('torch.')}
        values |= _memory_values(network.device)
    if nameless := cameras.pop('', None):
        values |= nameless.values
    return {WHOLE: Health(level, message, values)} | {f'camera {name}': health for name, health in cameras.items()}


def _examine_cameras(state: NodeState) -> dict[str, Health]:
    if state.stream is None:
        return {}
    streams = state.stream.cameras
    if state.silence:
        return {
            name: Health(DiagnosticStatus.OK, state.silence, _camera_values(stream)) for name, stream in streams.items()
        }
    return {
        source.camera.name: _camera_health(streams[source.camera.name], source.why_silent, state.settings.image_timeout)
        for source in state.inputs
    }


def _condition(state: NodeState, cameras: Mapping[str, Health]) -> tuple[bytes, str]:
    """Return a diagnostic level, and what the node does or why it is silent."""
    if state.last_failure:
        return DiagnosticStatus.ERROR, state.last_failure
    if state.silence:
        return DiagnosticStatus.OK, state.silence
    return _joint_condition(cameras)


def _camera_health(camera: CameraStream, why_silent: Callable[[], str], image_timeout: float) -> Health:
    """Return the health of a camera whose stream is running.

    `why_silent` is called if no image has arrived for `image_timeout` seconds.
    """
    report = camera.statistics.report()
    values = _camera_values(camera)
    silence = camera.statistics.seconds_since_image()
    if silence > image_timeout:
        return Health(DiagnosticStatus.WARN, f'silent: no image for {silence:.0f} s; {why_silent()}', values)
    if report.last_problem and not report.output_rate:
        return Health(DiagnosticStatus.WARN, f'silent: {report.last_problem}', values)
    if (large := camera.outputs.large_messages) and (hint := loss_hint()):
        topics = ', '.join(f'{topic} ({size / 1e6:.1f} MB)' for topic, size in sorted(large.items()))
        return Health(DiagnosticStatus.WARN, f'segmenting, but subscribers may miss {topics}{hint}', values)
    if conflict := camera.geometry.conflict:
        return Health(DiagnosticStatus.WARN, f'segmenting, but {conflict}', values)
    return Health(DiagnosticStatus.OK, 'segmenting', values)


def _joint_condition(cameras: Mapping[str, Health]) -> tuple[bytes, str]:
    """Return the level and message of all cameras together, by name."""
    troubles = [
        f'{name}: {health.message}' if name else health.message
        for name, health in cameras.items()
        if health.level != DiagnosticStatus.OK
    ]
    if troubles:
        return DiagnosticStatus.WARN, '; '.join(troubles)
    return DiagnosticStatus.OK, 'segmenting'


def _camera_values(camera: CameraStream) -> dict[str, str]:
    """Return what became of a camera's images, as shown in the diagnostics."""
    report = camera.statistics.report()
    return {
        'images received': str(report.received),
        'frames published': str(report.published),
        'images dropped': str(report.dropped),
        'images bad': str(report.bad),
        'frames failed': str(report.failed),
        'stamps running back': str(report.time_jumps),
        'last problem': report.last_problem,
        'input rate (Hz)': f'{report.input_rate:.1f}',
        'output rate (Hz)': f'{report.output_rate:.1f}',
        'latency p50 (ms)': f'{report.latency.p50_ms:.1f}',
        'latency p95 (ms)': f'{report.latency.p95_ms:.1f}',
        'processing p50 (ms)': f'{report.processing.p50_ms:.1f}',
        'processing p95 (ms)': f'{report.processing.p95_ms:.1f}',
    } | camera.geometry.values()


def _memory_values(device: torch.device) -> dict[str, str]:
    """Return the memory in use, in MiB: of the process and, if there is one, of the GPU."""
    resident_pages = int(Path('/proc/self/statm').read_text().split()[1])
    values = {'memory (MiB)': f'{resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20:.0f}'}
    if device.type == 'cuda':
        values['GPU memory (MiB)'] = f'{torch.cuda.memory_allocated(device) / 2**20:.0f}'
    return values
