# SPDX-License-Identifier: Apache-2.0
"""Looks for a text in the present picture, whatever the labels are."""

from __future__ import annotations

import asyncio
import base64
import math
from html import escape

import numpy as np
from nicegui import ui

from lseg_ros.dashboard.cards import answer_of, card
from lseg_ros.dashboard.pictures import heat, jpeg
from lseg_ros.labels.syntax import PROMPT_LIMIT
from lseg_ros.nodes.dashboard.robot import Robot
from lseg_ros.srv import QueryText


class QueryPanel:
    """A box for a text; below it, the relevance of each pixel as heat, and its peak."""

    def __init__(self, robot: Robot) -> None:
        """Build the card in the present slot."""
        self._robot = robot
        self.camera = ''
        with card('Ask', 'query'):
            with ui.element('div').classes('entry'):
                self._input = ui.input(placeholder='exit sign').props(
                    f'dense outlined maxlength={PROMPT_LIMIT} aria-label="Text to look for in the picture"'
                )
                self._input.on('keydown.enter', self._ask)
                self._button = ui.button('Find', on_click=self._ask).props('unelevated no-caps')
            self._result = ui.html(sanitize=False).classes('result').props('role=status')

    async def _ask(self) -> None:
        text = (self._input.value or '').strip()
        if not text:
            return
        camera = self.camera
        self._button.disable()
        response, failure = await answer_of(self._robot.query, text, camera)
        self._button.enable()
        if response is None or not response.success:
            reason = failure if response is None else response.message
            self._result.set_content(f'<p class="problem">{escape(reason)}</p>')
            return
        feeds = self._robot.camera(camera)
        background = feeds.picture.pixels if feeds and feeds.picture else None
        self._result.set_content(await asyncio.to_thread(_result, text, response, background))


def _result(text: str, response: QueryText.Response, background: np.ndarray | None) -> str:
    """Return HTML of a picture with the relevance and its peak."""
    message = response.relevance[0]
    relevance = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
    if background is None:
        background = np.zeros((*relevance.shape, 3), np.uint8)
    source = base64.b64encode(jpeg(heat(background, relevance))).decode()
    u, v, peak = response.peak_u[0], response.peak_v[0], response.peak_relevance[0]
    left, top = 100 * (u + 0.5) / message.width, 100 * (v + 0.5) / message.height
    point = response.peak_point[0]
    distance = '' if math.isnan(point.z) else f' · {math.hypot(point.x, point.y, point.z):.2f} m away'
    name = escape(text)
    return (
        f'<figure><div class="live"><img alt="Relevance of {name}" src="data:image/jpeg;base64,{source}">'
        f'<div class="mark" style="left: {left:.1f}%; top: {top:.1f}%"></div></div>'
        f'<figcaption><b>{name}</b> peaks at {100 * peak:.0f} %{distance}'
        f' <span class="faint">column {u}, row {v}</span></figcaption></figure>'
    )
