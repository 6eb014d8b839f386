# SPDX-License-Identifier: Apache-2.0
"""The classes in view, with the share of the picture and the mean confidence of each."""

from __future__ import annotations

from nicegui import ui

from lseg_ros.dashboard.cards import card, class_name, show_age
from lseg_ros.dashboard.readings import ClassShare, Reading
from lseg_ros.nodes.dashboard.robot import Robot

NOTHING = '<p class="faint">No label image has come yet.</p>'
LEAST_SHARE = 0.001
HEAD = '<thead><tr><th>class</th><th>share</th><th></th><th>confidence</th></tr></thead>'


class Legend:
    """A table that follows the label image."""

    def __init__(self, robot: Robot) -> None:
        """Build the card in the present slot."""
        self._robot = robot
        self._shown: Reading | None = None
        with card('In view', 'legend'):
            self._age = ui.label().classes('problem').props('role=status')
            self._table = ui.html(NOTHING, sanitize=False)

    def refresh(self, camera: str) -> None:
        """Show the newest label image of a camera."""
        feeds = self._robot.camera(camera)
        reading = feeds.reading if feeds else None
        old = reading.old if reading else ''
        show_age(self._age, self._table, f'No new label image: these figures are {old}.' if old else '')
        if reading is self._shown:
            return
        self._shown = reading
        self._table.set_content(NOTHING if reading is None else _table(reading))


def _table(reading: Reading) -> str:
    rows = ''.join(_row(each) for each in reading.shares if each.share >= LEAST_SHARE)
    return f'<table>{HEAD}<tbody>{rows}</tbody></table>'


def _row(part: ClassShare) -> str:
    bar = f'<span class="bar"><span style="width: {100 * part.share:.1f}%"></span></span>'
    return (
        f'<tr><td>{class_name(part.label)}</td><td class="wide">{bar}</td>'
        f'<td class="number">{100 * part.share:.1f} %</td><td class="number">{100 * part.confidence:.0f} %</td></tr>'
    )
