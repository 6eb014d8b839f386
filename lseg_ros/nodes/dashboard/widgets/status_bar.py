# SPDX-License-Identifier: Apache-2.0
"""The head of the page: whether the node runs, what it says, and its lifecycle buttons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from lseg_ros.dashboard.actions import SingleAction, answer_of
from lseg_ros.nodes.dashboard.reports import LOOKING, NO_STATE
from lseg_ros.nodes.dashboard.robot import Robot, RobotState
from lseg_ros.nodes.dashboard.widgets.health_panel import WHOLE

# The transitions that each state offers: what the button says, and the question before it.
BUTTONS = (
    ('unconfigured', 'configure', 'Configure', ''),
    ('inactive', 'activate', 'Activate', ''),
    ('inactive', 'cleanup', 'Clean up', 'This frees the model. Everything that uses the node gets nothing more.'),
    ('active', 'deactivate', 'Deactivate', 'Navigation and everything else that uses the node get no more masks.'),
)
UNDER_WAY = {
    'configure': 'configuring',
    'activate': 'activating',
    'deactivate': 'deactivating',
    'cleanup': 'cleaning up',
}


class StatusBar:
    """Shows the state of the node and changes it; steps that stop the masks are confirmed first."""

    def __init__(self, robot: Robot) -> None:
        """Build the bar in the present slot."""
        self._robot = robot
        self._buttons: list[tuple[str, ui.button]] = []
        self._dark = ui.dark_mode(None)
        with ui.element('header').classes('bar'):
            ui.html(f'lseg_ros <span class="faint">{robot.target}</span>', sanitize=True, tag='h1')
            self._pill = ui.label('…').classes('pill').props('role=status')
            self._message = ui.label().classes('message')
            with ui.element('nav').classes('buttons').props('aria-label="Lifecycle"'):
                for state, transition, title, question in BUTTONS:
                    button = ui.button(title, on_click=self._action(transition, title, question))
                    button.props('outline dense no-caps' if question else 'unelevated dense no-caps').set_visibility(
                        False
                    )
                    self._buttons.append((state, button))
            ui.button(icon='contrast', on_click=self._switch_dark).props('flat round dense aria-label="Light or dark"')

    def refresh(self, state: RobotState) -> None:
        """Show the present state."""
        info, whole = state.info, state.parts.get(WHOLE)
        missing = 'looking' if info.problem == LOOKING else 'not running'
        text = UNDER_WAY.get(state.pending) or info.state or missing
        self._pill.set_text(text)
        self._pill.classes(replace=f'pill {_kind(state)}')
        said = whole.message if whole else ''
        self._message.set_text(said if state.pending else info.problem or said)
        for needed, button in self._buttons:
            button.set_visibility(needed == info.state and not state.pending)

    def _action(self, transition: str, title: str, question: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            if question and not await _confirmed(title, question):
                return
            succeeded, failure = await answer_of(self._robot.change_state, transition)
            if not succeeded:
                ui.notify(failure or f'{title}: the node refused or failed; its diagnostics say why', type='negative')

        return SingleAction(act).run

    def _switch_dark(self) -> None:
        # None follows the system, which the server does not know.
        self._dark.set_value(not self._dark.value)


def _kind(state: RobotState) -> str:
    if state.pending:
        return 'busy'
    if state.info.state == NO_STATE:
        return 'idle' if state.info.problem == LOOKING else 'bad'
    whole = state.parts.get(WHOLE)
    if state.info.state != 'active':
        return 'idle'
    return 'good' if whole is None or whole.level == 0 else 'warning'


async def _confirmed(title: str, question: str) -> bool:
    with ui.dialog() as dialog, ui.element('div').classes('dialog').props('role=document'):
        ui.html(f'{title}?', sanitize=False, tag='h2')
        ui.label(question)
        with ui.element('div').classes('buttons'):
            ui.button('Cancel', on_click=lambda: dialog.submit(False)).props('flat no-caps autofocus')
            ui.button(title, on_click=lambda: dialog.submit(True)).props('unelevated no-caps color=negative')
    answer = await dialog
    dialog.delete()
    return bool(answer)
