# SPDX-License-Identifier: Apache-2.0
"""The camera: its overlay, the opacity of the colours, and what is at a picked pixel."""

from __future__ import annotations

from nicegui import ui

from lseg_ros.dashboard.actions import SingleAction, answer_of
from lseg_ros.dashboard.cards import card, class_name
from lseg_ros.dashboard.live_picture import LivePicture
from lseg_ros.nodes.dashboard.record import zipped
from lseg_ros.nodes.dashboard.robot import Robot, RobotState

HINT = 'Click the picture to see the class of a pixel.'


class LiveView:
    """Shows one camera at a time."""

    def __init__(self, robot: Robot) -> None:
        """Build the card in the present slot."""
        self._robot = robot
        self.camera = ''
        self._cameras: tuple[str, ...] = ('',)
        self._place: tuple[float, float] | None = None
        self._alpha: float | None = None
        self._saving = SingleAction(self._save)
        with card('Camera', 'camera'):
            self._choice = ui.toggle([''], value='', on_change=self._choose).props('dense no-caps unelevated')
            self._choice.set_visibility(False)
            self._picture = LivePicture('', self._pick)
            with ui.element('div').classes('controls'):
                self._readout = ui.html(HINT, sanitize=False).classes('readout').props('role=status')
                with ui.element('label').classes('opacity'):
                    ui.html('Colours', sanitize=False, tag='span')
                    self._slider = ui.slider(min=0, max=1, step=0.05, value=0.5).props(
                        'aria-label="Opacity of the colours"'
                    )
                    self._slider.on('change', self._set_alpha)
                self._record = self._saving.button('Record', icon='photo_camera').props('flat dense no-caps')
                self._record.tooltip('Save image, label image, overlay and figures of this moment, for a bug report')

    def refresh(self, state: RobotState) -> None:
        """Show the present state."""
        if state.info.cameras != self._cameras:
            self._show_cameras(state.info.cameras)
        alpha = state.info.overlay_alpha
        if alpha is not None and alpha != self._alpha:
            self._alpha = alpha
            self._slider.set_value(alpha)
        self._slider.set_enabled(alpha is not None and bool(state.info.state))
        self._record.set_enabled(state.labels is not None and not self._saving.is_under_way)
        self._read()

    def _show_cameras(self, cameras: tuple[str, ...]) -> None:
        self._cameras = cameras
        self._choice.set_options(list(cameras), value=cameras[0])
        self._choice.set_visibility(len(cameras) > 1)
        self._choose()

    def _choose(self) -> None:
        self.camera = self._choice.value or ''
        self._picture.show(self.camera)

    def _pick(self, place: tuple[float, float] | None) -> None:
        self._place = place
        self._read()

    def _read(self) -> None:
        """Show what is at the mark in the newest label image."""
        feeds = self._robot.camera(self.camera)
        if self._place is None or feeds is None:
            self._readout.set_content(HINT)
            return
        feeds.want_depth()
        if feeds.reading is None:
            self._readout.set_content('No label image has come yet.')
            return
        pixel = feeds.reading.at(*self._place)
        parts = [f'{100 * pixel.confidence:.0f} %', *filter(None, [feeds.reading.old])]
        if (distance := feeds.distance_at(*self._place)) is not None:
            parts.append(f'{distance:.2f} m')
        name = class_name(pixel.label)
        place = f'<span class="faint">column {pixel.u}, row {pixel.v}</span>'
        self._readout.set_content(f'{name} {" · ".join(parts)} {place}')

    async def _set_alpha(self) -> None:
        reason, failure = await answer_of(self._robot.set_overlay_alpha, float(self._slider.value))
        if text := failure or reason:
            ui.notify(text, type='negative')

    async def _save(self) -> None:
        feeds = self._robot.camera(self.camera)
        if feeds is None:
            return
        record, failure = await answer_of(feeds.record)
        if record is None:
            ui.notify(failure, type='negative')
            return
        if record.missing:
            ui.notify(f'Saved, but {record.missing}', type='warning')
        data, failure = await answer_of(zipped, record, self._robot.state)
        if data is None:
            ui.notify(failure, type='negative')
            return
        ui.download.content(data, f'lseg_{record.reading.stamp_ns}.zip', 'application/zip')
