# SPDX-License-Identifier: Apache-2.0
"""Rows of the benchmark table: printed, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from measure import Measurement

_NONE = '-'  # in the place of a number


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
    sent: int | None = None  # images of cameras at a rate
    received: int | None = None  # label images for them
    cores: float | None = None  # CPU seconds of the node per second
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


Column = tuple[str, Callable[[Row], str]]
_CASE: tuple[Column, ...] = (
    ('name', lambda row: row.name),
    ('precision', lambda row: row.precision),
    ('size', lambda row: row.size),
    ('batch', lambda row: str(row.batch)),
    ('labels', lambda row: str(row.labels)),
)
_NETWORK: tuple[Column, ...] = (('model', lambda row: row.model), ('device', lambda row: row.device))
_NUMBERS: tuple[Column, ...] = (
    ('p50 ms', lambda row: _number(row.p50_ms, '.1f')),
    ('p95 ms', lambda row: _number(row.p95_ms, '.1f')),
    ('images/s', lambda row: _number(row.per_second, '.4g')),
    ('sent', lambda row: _number(row.sent, 'd')),
    ('received', lambda row: _number(row.received, 'd')),
    ('CPU ms/image', lambda row: _number(None if row.cpu_s is None else 1000 * row.cpu_s, '.1f')),
    ('cores', lambda row: _number(row.cores, '.2f')),
    ('peak MB', lambda row: _number(row.peak_mb, '.0f')),
    ('floor', lambda row: _number(row.floor_share, '.0%')),
)
_NOTE: Column = ('note', lambda row: row.note)


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as an aligned table."""
    lines = _table(rows, (*_NETWORK, *_CASE, *_NUMBERS, _NOTE))
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def markdown_table(rows: Sequence[Row]) -> str:
    """Return rows of one network on one device as a Markdown table."""
    head, *lines = (f'| {" | ".join(line)} |' for line in _table(rows, (*_CASE, *_NUMBERS, _NOTE)))
    return '\n'.join((head, f'|{"---|" * (head.count("|") - 1)}', *lines))


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """Return the headings and the lines, without the columns in which no row has anything."""
    filled = [(heading, text) for heading, text in columns if any(text(row) not in ('', _NONE) for row in rows)]
    return [tuple(heading for heading, _ in filled), *(tuple(text(row) for _, text in filled) for row in rows)]


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a JSON list of objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + '\n')


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
