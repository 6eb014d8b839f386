# SPDX-License-Identifier: Apache-2.0
"""Rates, latency, drops and everything else that the diagnostics say."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from html import escape

from nicegui import ui

from lseg_ros.dashboard.cards import card
from lseg_ros.dashboard.latency_plot import latency_plot
from lseg_ros.nodes.dashboard.reports import Part
from lseg_ros.nodes.dashboard.robot import RobotState

WHOLE = 'segmentation'
SILENCE = '<p class="faint">No diagnostics come from the node.</p>'
TILES = (
    ('Images in', 'input rate (Hz)', 'Hz'),
    ('Labelled', 'output rate (Hz)', 'Hz'),
    ('Latency, median', 'latency p50 (ms)', 'ms'),
    ('Latency, 95th', 'latency p95 (ms)', 'ms'),
)
LOSSES = (
    ('replaced by a newer image', 'images dropped'),
    ('bad images', 'images bad'),
    ('failed frames', 'frames failed'),
)


class HealthPanel:
    """Follows /diagnostics."""

    def __init__(self) -> None:
        """Build the card in the present slot."""
        self._shown: Mapping[str, Part] | None = None
        self._camera = ''
        with card('Health', 'health'):
            self._tiles = ui.html(SILENCE, sanitize=False)
            self._plot = ui.html(sanitize=False)
            self._losses = ui.html(sanitize=False)
            self._machine = ui.html(sanitize=False).classes('faint')
            with ui.expansion('Everything the diagnostics say').classes('all').props('dense'):
                self._all = ui.html(sanitize=False)

    def refresh(self, state: RobotState, camera: str) -> None:
        """Show the last diagnostics."""
        if state.parts is self._shown and camera == self._camera:
            return
        self._shown, self._camera = state.parts, camera
        name = f'camera {camera}' if camera else WHOLE
        part = state.parts.get(name)
        self._tiles.set_content(SILENCE if part is None else _tiles(part))
        self._plot.set_content('' if part is None else latency_plot(state.history.get(name, ()), time.monotonic()))
        self._losses.set_content('' if part is None else _losses(part))
        self._machine.set_content(_machine(state.parts.get(WHOLE, Part(0, ''))))
        self._all.set_content(''.join(_table(name, each) for name, each in state.parts.items()))


def _tiles(part: Part) -> str:
    tiles = ''.join(_tile(title, part.number(key), unit) for title, key, unit in TILES)
    return f'<dl class="tiles">{tiles}</dl>'


def _tile(title: str, value: float, unit: str) -> str:
    text = '–' if math.isnan(value) else f'{value:.0f}' if value >= 100 else f'{value:.1f}'
    return f'<div><dt>{title}</dt><dd>{text} <small>{unit}</small></dd></div>'


def _losses(part: Part) -> str:
    counts = [f'{part.values[key]} {title}' for title, key in LOSSES if part.values.get(key, '0') != '0']
    received = part.values.get('images received', '0')
    lost = ', '.join(counts) if counts else 'none lost'
    problem = part.values.get('last problem', '')
    reason = f'<p class="problem">Last problem: {escape(problem)}</p>' if problem else ''
    return f'<p>{escape(received)} images: {escape(lost)}.</p>{reason}'


def _machine(whole: Part) -> str:
    """Return which model runs where, and the memory that it takes."""
    model, device, precision = (whole.values.get(key, '') for key in ('model', 'device', 'precision'))
    memory = [f'{key.partition(" (")[0]} {value} MiB' for key, value in whole.values.items() if key.endswith('(MiB)')]
    parts = [model, device and f'on {device}', precision, *memory]
    return escape(', '.join(filter(None, parts)))


def _table(name: str, part: Part) -> str:
    rows = ''.join(f'<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>' for key, value in part.values.items())
    return f'<h3>{escape(name)}: {escape(part.message)}</h3><table>{rows}</table>'
