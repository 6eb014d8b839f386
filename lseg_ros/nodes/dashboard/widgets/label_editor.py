# SPDX-License-Identifier: Apache-2.0
"""The labels as chips: add, edit, remove, undo, and load a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from lseg_ros.dashboard.cards import SingleAction, answer_of, card, swatch
from lseg_ros.dashboard.label_dialogs import FileDialog, PromptDialog
from lseg_ros.labels import LabelClass, LabelSet
from lseg_ros.labels.syntax import split_labels
from lseg_ros.nodes.dashboard.robot import Robot, RobotState
from lseg_ros.srv import SetLabels

ADD = SetLabels.Request.MODE_ADD
REMOVE = SetLabels.Request.MODE_REMOVE
REPLACE = SetLabels.Request.MODE_REPLACE
MOST_TEXT = 4096


class LabelEditor:
    """Shows and changes the labels of the node; what it refuses is shown with its reason."""

    def __init__(self, robot: Robot) -> None:
        """Build the card in the present slot."""
        self._robot = robot
        self._shown: LabelSet | None = None
        self._refused: dict[str, str] = {}  # the reason, by the text that was refused
        self._prompts = PromptDialog(lambda spec: self._change([spec], ADD))
        self._files = FileDialog(lambda labels: self._change(labels, REPLACE))
        adding, undoing = SingleAction(self._add), SingleAction(self._bring_back)
        with card('Labels', 'labels'):
            self._chips = ui.element('div').classes('chips').props('role=list aria-label="Labels of the node"')
            self._refusals = ui.element('div').classes('chips').props('role=alert')
            with ui.element('div').classes('entry'):
                self._input = ui.input(placeholder='floor, or door=door|gate').props(
                    f'dense outlined maxlength={MOST_TEXT} aria-label="Add a label"'
                )
                self._input.on('keydown.enter', adding.run)
                adding.button('Add').props('unelevated no-caps')
            with ui.element('div').classes('actions'):
                self._undo = ui.button('Undo', icon='undo', on_click=undoing.run).props('flat dense no-caps')
                ui.button('Load a set', icon='folder_open', on_click=self._files.open).props('flat dense no-caps')

    def refresh(self, state: RobotState) -> None:
        """Show the present labels."""
        self._undo.set_enabled(state.can_undo)
        if state.labels is None or state.labels is self._shown:
            return
        if self._shown is None or state.labels.classes != self._shown.classes:
            self._show_chips(state.labels)
        self._shown = state.labels

    def _show_chips(self, labels: LabelSet) -> None:
        self._chips.clear()
        with self._chips:
            for label in labels.classes:
                self._show_chip(label)

    def _show_chip(self, label: LabelClass) -> None:
        with ui.element('div').classes('chip').props('role=listitem'):
            edit = ui.element('button').classes('name').props('type=button')
            edit.props['aria-label'] = f'Edit {label.name}'
            edit.on('click', lambda: self._prompts.open(label))
            with edit:
                ui.html(swatch(label.color), sanitize=False, tag='span')
                ui.label(label.name)
                if label.prompts != (label.name,):
                    ui.label(', '.join(label.prompts)).classes('faint prompts')
                for group in label.groups:
                    ui.label(group).classes('group')
            self._show_cross(f'Remove {label.name}', lambda: self._change([label.name], REMOVE))

    def _show_refusals(self) -> None:
        self._refusals.clear()
        with self._refusals:
            for text, reason in self._refused.items():
                with ui.element('div').classes('chip refused'):
                    if text:
                        ui.label(text).classes('name')
                    ui.label(reason).classes('reason')
                    self._show_cross('Dismiss', partial(self._dismiss, text))

    def _show_cross(self, title: str, action: Callable[[], Any]) -> None:
        cross = ui.element('button').classes('cross').props('type=button')
        cross.props['aria-label'] = title
        cross.on('click', action)
        with cross:
            ui.icon('close')

    def _dismiss(self, text: str) -> None:
        self._refused.pop(text, None)
        self._show_refusals()

    async def _add(self) -> None:
        labels = split_labels(self._input.value or '')
        if labels and await self._change(labels, ADD):
            self._input.set_value('')

    async def _bring_back(self) -> None:
        response, failure = await answer_of(self._robot.undo_labels)
        self._note('', _reason(response, failure))

    async def _change(self, labels: Sequence[str], mode: str) -> bool:
        """Ask the node for a change, show why it refuses, and return whether it agreed."""
        response, failure = await answer_of(self._robot.set_labels, list(labels), mode)
        reason = _reason(response, failure)
        self._note(', '.join(labels)[:MOST_TEXT] if mode == ADD else '', reason)
        return not reason

    def _note(self, text: str, reason: str) -> None:
        self._refused = {text: reason} if reason else {}
        self._show_refusals()


def _reason(response: SetLabels.Response | None, failure: str) -> str:
    """Return why a change was not made; empty if it was."""
    if response is None:
        return failure
    return '' if response.success else str(response.message)
