# SPDX-License-Identifier: Apache-2.0
"""The map: where things are that a text names, and its voxels in a 3-D view."""

from __future__ import annotations

import time
from html import escape

import numpy as np
from nicegui import ui

from lseg_ros.dashboard.ask_box import AskBox
from lseg_ros.dashboard.cards import card
from lseg_ros.msg import MapAnswer
from lseg_ros.nodes.dashboard.map_link import MapLink, MapPoints
from lseg_ros.srv import QueryMap

REDRAW_S = 5.0  # half a megabyte goes to the browser each time
POINT_M = 0.05
MILLIMETRES = 3  # decimals of what is sent
ANSWER_COLOR = '#e11d48'


class MapPanel:
    """Asks the map and shows it; hidden while there is no map node."""

    def __init__(self, link: MapLink) -> None:
        """Build the card in the present slot."""
        self._link = link
        self._shown: MapPoints | None = None
        self._drawn_at = -float('inf')
        self._answers: list[MapAnswer] = []
        self._card = card('Map', 'map')
        with self._card:
            self._box = AskBox('sofa', 'Text to look for in the map', link.query, self._show)
            self._view = ui.expansion('Voxels in 3-D', on_value_change=self._open).classes('all').props('dense')
            self._scene: ui.scene | None = None
        self._card.set_visibility(False)

    def refresh(self) -> None:
        """Show the newest voxels, if they are looked at."""
        self._card.set_visibility(self._link.is_running)
        if not self._link.is_running:
            self._forget()
            return
        self._box.refresh()
        if self._scene is None or not self._view.value:
            return
        self._link.want_voxels()
        if self._link.points is not self._shown and time.monotonic() > self._drawn_at + REDRAW_S:
            self._shown = self._link.points
            self._draw()

    def _forget(self) -> None:
        """Drop what is about the map of a node that has ended."""
        self._box.clear()
        if self._scene is not None and (self._answers or self._shown):
            self._scene.clear()
        self._answers, self._shown = [], None

    def _open(self) -> None:
        """Make the view when it is first opened, as it is large."""
        if self._scene is None:
            with self._view:
                self._scene = ui.scene(grid=False, background_color='#20262d').classes('scene')

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        points = self._shown
        if self._scene is None or points is None or not len(points.places):
            return
        self._scene.clear()
        middle = np.median(points.places, axis=0)
        places = (points.places - middle).round(MILLIMETRES)
        with self._scene as scene:
            scene.point_cloud(places.tolist(), points.colors.round(2).tolist(), POINT_M)
            for answer in self._answers:
                size, centre = answer.size, answer.center
                width, height, depth = (max(side, POINT_M) for side in (size.x, size.y, size.z))
                box = scene.box(width, height, depth, wireframe=True)
                box.move(centre.x - middle[0], centre.y - middle[1], centre.z - middle[2]).material(ANSWER_COLOR)
        reach = float(np.abs(places).max())
        self._scene.move_camera(0, -1.2 * reach, 1.2 * reach, 0, 0, 0, duration=0)

    def _show(self, text: str, response: QueryMap.Response) -> str:
        self._answers = list(response.answers)
        self._draw()
        return _listed(text, response)


def _listed(text: str, response: QueryMap.Response) -> str:
    """Return HTML of the answers."""
    if not response.answers:
        return f'<p>{escape(text)} is not in the map.</p>'
    head = '<tr><th>score</th><th>centre</th><th>size</th><th>seen from</th></tr>'
    rows = ''.join(_row(answer) for answer in response.answers)
    frame = escape(response.header.frame_id)
    return f'<table>{head}{rows}</table><p class="faint">metres, in the frame {frame}</p>'


def _row(answer: MapAnswer) -> str:
    centre, size = answer.center, answer.size
    place = answer.pose.position
    pose = f'{place.x:.2f}, {place.y:.2f}' if answer.has_pose else escape(answer.reason)
    return (
        f'<tr><td>{100 * answer.score:.0f} %</td><td>{centre.x:.2f}, {centre.y:.2f}, {centre.z:.2f}</td>'
        f'<td>{size.x:.2f} × {size.y:.2f} × {size.z:.2f}</td><td>{pose}</td></tr>'
    )
