# SPDX-License-Identifier: Apache-2.0
"""The latency of the last minute as a small plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

HISTORY_S = 60.0
GAP_S = 5.0  # without a sample there is no line

WIDTH, HEIGHT = 320, 96
LEFT, BOTTOM, TOP = 44, 16, 6
ROUND_STEPS = (1, 2, 5)
KEY = '<p class="key"><span><i class="p50_ms"></i>median</span><span><i class="p95_ms"></i>95th percentile</span></p>'


@dataclass(frozen=True)
class Sample:
    """The latency of a camera's frames at one moment of a steady clock, in seconds."""

    time_s: float
    p50_ms: float
    p95_ms: float


def latency_plot(samples: Sequence[Sample], now_s: float) -> str:
    """Return SVG of p50 and p95 over the minute before `now_s`; without two samples, a note."""
    samples = [sample for sample in samples if sample.time_s > now_s - HISTORY_S]
    if len(samples) < 2:
        return '<p class="faint">The plot of the last minute fills while this page is open.</p>'
    top = _rounded_up(max(sample.p95_ms for sample in samples))

    def place(sample: Sample, value: float) -> tuple[float, float]:
        age = (now_s - sample.time_s) / HISTORY_S
        return WIDTH - age * (WIDTH - LEFT), _height(value / top)

    lines = ''.join(
        _line(name, (place(s, getattr(s, name)) for s in run))
        for name in ('p50_ms', 'p95_ms')
        for run in _without_gaps(samples)
    )
    grid = ''.join(_grid_line(share, share * top) for share in (0.0, 0.5, 1.0))
    p50, p95 = samples[-1].p50_ms, samples[-1].p95_ms
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Latency of the last minute: '
        f'{_when(now_s - samples[-1].time_s)} median {p50:.0f} ms, 95th percentile {p95:.0f} ms">{grid}{lines}'
        f'<text x="{LEFT}" y="{HEIGHT - 2}">1 min ago</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end">now</text></svg>{KEY}'
    )


def _when(age_s: float) -> str:
    return 'now' if age_s <= GAP_S else f'{age_s:.0f} s ago'


def _without_gaps(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return the runs of samples that follow each other closely."""
    runs = [[samples[0]]]
    for before, sample in pairwise(samples):
        if sample.time_s > before.time_s + GAP_S:
            runs.append([])
        runs[-1].append(sample)
    return runs


def _height(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _line(name: str, places: Iterable[tuple[float, float]]) -> str:
    points = ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)
    return f'<polyline class="{name}" points="{points}"/>'


def _grid_line(share: float, value: float) -> str:
    y = _height(share)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{value:g} ms</text>'
    )


def _rounded_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50, ... that is not below `value`."""
    power = 1.0
    while True:
        for step in ROUND_STEPS:
            if step * power >= value:
                return step * power
        power *= 10
