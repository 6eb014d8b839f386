# SPDX-License-Identifier: Apache-2.0
"""Looks for a text in what the camera sees, whatever the labels are."""

from __future__ import annotations

import base64
import math
from html import escape

import numpy as np
from rclpy.time import Time

from lseg_ros.dashboard.ask_box import AskBox
from lseg_ros.dashboard.cards import card
from lseg_ros.dashboard.pictures import heat, jpeg
from lseg_ros.nodes.dashboard.robot import Robot
from lseg_ros.srv import QueryText

NO_PICTURE = ' · the picture of this moment is not at hand'


class QueryPanel:
    """A box for a text; below it, the relevance of each pixel as heat, and its peak."""

    def __init__(self, robot: Robot) -> None:
        """Build the card in the present slot."""
        self._robot = robot
        self._camera = ''
        with card('Ask', 'query'):
            self._box = AskBox('exit sign', 'Text to look for in the picture', self._answer, lambda _, html: html)

    def _answer(self, text: str) -> str:
        return _answer(self._robot, text, self._camera)

    def refresh(self, camera: str) -> None:
        """Ask about this camera from now on; an answer about another one goes."""
        if camera != self._camera:
            self._camera = camera
            self._box.clear()
        self._box.refresh()


def _answer(robot: Robot, text: str, camera: str) -> str:
    """Return HTML of the answer of the node; raise ValueError if it refuses the question."""
    response = robot.query(text, camera)
    if not response.success:
        raise ValueError(response.message)
    feeds = robot.camera(camera)
    picture = feeds.picture_at(Time.from_msg(response.header.stamp).nanoseconds) if feeds else None
    return relevance_html(text, response, None if picture is None else picture.pixels)


def relevance_html(text: str, response: QueryText.Response, background: np.ndarray | None) -> str:
    """Return HTML of a picture with the relevance and its peak, plain without a `background`."""
    message = response.relevance[0]
    relevance = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
    note = ''
    if background is None:
        background = np.zeros((*relevance.shape, 3), np.uint8)
        note = NO_PICTURE
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
        f' <span class="faint">column {u}, row {v}{note}</span></figcaption></figure>'
    )
