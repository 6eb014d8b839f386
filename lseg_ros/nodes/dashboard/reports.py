# SPDX-License-Identifier: Apache-2.0
"""What the nodes report about themselves: diagnostics, the lifecycle, and the last minute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition

from lseg_ros.dashboard.latency_plot import Sample

NO_STATE = ''
LOOKING = 'looking for the node'
TRANSITIONS: Mapping[str, int] = MappingProxyType(
    {
        'configure': Transition.TRANSITION_CONFIGURE,
        'activate': Transition.TRANSITION_ACTIVATE,
        'deactivate': Transition.TRANSITION_DEACTIVATE,
        'cleanup': Transition.TRANSITION_CLEANUP,
    }
)


@dataclass(frozen=True)
class NodeInfo:
    """The node at the last look: its lifecycle state, and the names of cameras that can be shown.

    `labels` are all labels as they are written, in their order, if that is known. `problem` says
    why the state is unknown, or why the cameras of the node cannot be shown.
    """

    state: str = NO_STATE
    problem: str = LOOKING
    cameras: tuple[str, ...] = ('',)
    overlay_alpha: float | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A status of /diagnostics: its level (0 is OK), its sentence and its figures."""

    level: int
    message: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def number(self, key: str) -> float:
        """Return a figure, or NaN if it is missing or not a number."""
        try:
            return float(self.values.get(key, 'nan'))
        except ValueError:
            return math.nan


def part_of(status: DiagnosticStatus) -> Part:
    """Return a status as a frozen value."""
    values = MappingProxyType({item.key: item.value for item in status.values})
    return Part(status.level[0], status.message, values)


def latency_sample(time_s: float, part: Part) -> Sample | None:
    """Return the latency that a status reports, or None if it reports none."""
    p50, p95 = part.number('latency p50 (ms)'), part.number('latency p95 (ms)')
    return None if math.isnan(p50) or math.isnan(p95) else Sample(time_s, p50, p95)
