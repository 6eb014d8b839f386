# SPDX-License-Identifier: Apache-2.0
"""The page: its parts, and how they follow the robot."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nicegui import ui

from lseg_ros.nodes.dashboard.map_link import MapLink
from lseg_ros.nodes.dashboard.robot import Robot
from lseg_ros.nodes.dashboard.widgets.health_panel import HealthPanel
from lseg_ros.nodes.dashboard.widgets.label_editor import LabelEditor
from lseg_ros.nodes.dashboard.widgets.legend import Legend
from lseg_ros.nodes.dashboard.widgets.live_view import LiveView
from lseg_ros.nodes.dashboard.widgets.map_panel import MapPanel
from lseg_ros.nodes.dashboard.widgets.query_panel import QueryPanel
from lseg_ros.nodes.dashboard.widgets.status_bar import StatusBar

REFRESH_S = 0.5
STYLE = Path(__file__).parent / 'static' / 'dashboard.css'


def build_page(robot: Robot, link: MapLink) -> None:
    """Build the page of one browser, which follows the robot until the browser leaves."""
    ui.colors(primary='#2563eb', negative='#c62828')
    ui.add_css(_style())
    status = StatusBar(robot)
    with ui.element('div').classes('board'):
        with ui.element('div').classes('side'):
            live = LiveView(robot)
            health = HealthPanel()
        with ui.element('div').classes('side'):
            labels = LabelEditor(robot)
            legend = Legend(robot)
            query = QueryPanel(robot)
            chart = MapPanel(link)

    def refresh() -> None:
        robot.watch(live.camera)
        state = robot.state
        for part in (status, live, labels):
            part.refresh(state)
        legend.refresh(live.camera)
        query.refresh(live.camera)
        health.refresh(state, live.camera)
        chart.refresh()

    refresh()
    ui.timer(REFRESH_S, refresh)


@cache
def _style() -> str:
    return STYLE.read_text(encoding='utf-8')
