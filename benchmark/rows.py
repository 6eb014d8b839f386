# SPDX-License-Identifier: Apache-2.0
"""Rows of the benchmark table: printed, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from measure import Measurement

_HEADINGS = (
    'name',
    'model',
    'device',
    'precision',
    'size',
    'batch',
    'labels',
    'p50 ms',
    'p95 ms',
    'images/s',
    'CPU s',
    'peak MB',
    'floor',
)


@dataclass(frozen=True)
class Row:
    """One measurement; without one the numbers are None and `note` says why."""

    name: str
    model: str
    device: str
    precision: str
    size: str  # of the image, width x height
    batch: int
    labels: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    per_second: float | None = None  # images per second
    cpu_s: float | None = None  # CPU seconds per image, all threads
    peak_mb: float | None = None
    floor_share: float | None = None  # lower bound as a fraction of p50_ms
    note: str = ''

    def filled(self, taken: Measurement, floor_ms: float | None = None) -> Row:
        """Return the row with the measurement of one batch filled in."""
        p50 = taken.percentile(50)
        return replace(
            self,
            p50_ms=p50,
            p95_ms=taken.percentile(95),
            per_second=1000 * self.batch / p50,
            cpu_s=taken.cpu_s / self.batch,
            peak_mb=taken.peak_mb,
            floor_share=None if floor_ms is None else floor_ms / p50,
        )

    def because(self, note: str) -> Row:
        """Return the row with the reason for having no numbers."""
        return replace(self, note=note)


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as an aligned table."""
    lines = [_HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    for line, row in zip(lines, (None, *rows)):
        text = '  '.join(cell.ljust(width) for cell, width in zip(line, widths))
        print(f'{text}  {row.note if row else ""}'.rstrip())


def markdown_table(rows: Sequence[Row]) -> str:
    """Return rows of one network on one device as a Markdown table."""
    head = (
        'name',
        'precision',
        'size',
        'batch',
        'labels',
        'p50 ms',
        'p95 ms',
        'images/s',
        'CPU ms/image',
        'peak MB',
        'floor',
    )
    lines = []
    for row in rows:
        cpu_ms = None if row.cpu_s is None else 1000 * row.cpu_s
        lines.append(
            (
                row.name,
                row.precision,
                row.size,
                str(row.batch),
                str(row.labels),
                _number(row.p50_ms, '.1f'),
                _number(row.p95_ms, '.1f'),
                _number(row.per_second, '.4g'),
                _number(cpu_ms, '.1f'),
                _number(row.peak_mb, '.0f'),
                _number(row.floor_share, '.0%'),
            )
        )
    top, *below = (f'| {" | ".join(line)} |' for line in (head, *lines))
    return '\n'.join((top, f'|{"---|" * len(head)}', *below))


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a JSON list of objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + '\n')


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (
        _number(row.p50_ms, '.2f'),
        _number(row.p95_ms, '.2f'),
        _number(row.per_second, '.1f'),
        _number(row.cpu_s, '.4f'),
        _number(row.peak_mb, '.0f'),
        _number(row.floor_share, '.0%'),
    )
    return (row.name, row.model, row.device, row.precision, row.size, str(row.batch), str(row.labels), *numbers)


def _number(value: float | None, form: str) -> str:
    return '-' if value is None else format(value, form)
