# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics say about the map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus

from lseg_ros.nodes.diagnostics import Health
from lseg_ros.nodes.map.map_inputs import CameraInputs
from lseg_ros.nodes.map.map_worker import MapWorker


class MapHealth:
    """Judges a map by what has happened to it since the last look."""

    def __init__(self, worker: MapWorker) -> None:
        """Take the map of `worker`, of which nothing is known yet."""
        self._worker = worker
        self._integrated = 0  # frames, until the last look
        self._drops: Counter[str] = Counter()  # by reason, until the last look

    def examine(self, cameras: Sequence[CameraInputs], unsaved: str) -> Health:
        """Return the state of the map; `unsaved` is why it could not be saved, or empty."""
        drops = sum((camera.drops for camera in cameras), self._worker.drops.copy())
        fresh, is_stalled = drops - self._drops, self._worker.integrated == self._integrated
        self._integrated, self._drops = self._worker.integrated, drops
        values = self._values(cameras, drops)
        if not cameras:
            return Health(DiagnosticStatus.OK, 'not mapping: inactive', values)
        if not any(camera.received for camera in cameras):
            topics = ', '.join(camera.topic for camera in cameras)
            kind = self._worker.settings.input
            return Health(DiagnosticStatus.WARN, f'not mapping: no {kind} on {topics}', values)
        if fresh and is_stalled:
            (reason, _), *_ = fresh.most_common(1)
            return Health(DiagnosticStatus.WARN, f'not mapping: {reason}', values)
        if unsaved:
            return Health(DiagnosticStatus.WARN, f'mapping, but {unsaved}', values)
        if conflict := next((camera.conflict for camera in cameras if camera.conflict), ''):
            return Health(DiagnosticStatus.WARN, f'mapping, but {conflict}', values)
        return Health(DiagnosticStatus.OK, 'mapping', values)

    def _values(self, cameras: Sequence[CameraInputs], drops: Counter[str]) -> dict[str, str]:
        values = self._worker.values | {f'dropped: {reason}': str(count) for reason, count in sorted(drops.items())}
        values['images received'] = str(sum(camera.received for camera in cameras))
        values['stamps running back'] = str(sum(camera.ran_back for camera in cameras))
        values['clock set back'] = str(sum(camera.set_back for camera in cameras))
        return values
