# SPDX-License-Identifier: Apache-2.0
"""The labels as chips: add, edit, remove, undo, and load a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from lseg_ros.dashboard.actions import SingleAction, answer_of
from lseg_ros.dashboard.cards import card, show_age, swatch
from lseg_ros.dashboard.label_changes import LabelEdit
from lseg_ros.dashboard.label_dialogs import MOST_TEXT, FileDialog, LabelDialog
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelClass, LabelError, LabelSet
from lseg_ros.labels.files import LabelFile
from lseg_ros.labels.syntax import split_labels
from lseg_ros.nodes.dashboard.reports import LOOKING, NO_STATE
from lseg_ros.nodes.dashboard.robot import Robot, RobotState
from lseg_ros.nodes.label_modes import ADD, REMOVE
from lseg_ros.srv import SetLabels

OLD_LABELS = 'The node does not answer: these are the last labels that it had.'


@dataclass(frozen=True)
class _Refusal:
    """Why a change was refused: the text that was refused, and the chip it belongs to, if any."""

    reason: str
    text: str = ''
    name: str = ''


class LabelEditor:
    """Shows and changes the labels of the node; what it refuses is shown with its reason."""

    def __init__(self, robot: Robot) -> None:
        """Build the card in the present slot."""
        self._robot = robot
        self._shown: LabelSet | None = None
        self._refusal: _Refusal | None = None
        self._beside: dict[str, ui.element] = {}  # the place for a refusal beside each chip
        self._label = LabelDialog(self._save, self._move)
        self._files = FileDialog(self._load)
        adding, undoing = SingleAction(self._add), SingleAction(self._bring_back)
        with card('Labels', 'labels'):
            self._silence = ui.label().classes('problem').props('role=status')
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
        is_old = state.labels is not None and state.info.state == NO_STATE and state.info.problem != LOOKING
        show_age(self._silence, self._chips, OLD_LABELS if is_old else '')
        labels, shown = state.labels, self._shown
        if labels is None or labels is shown:
            return
        self._shown = labels
        if shown is None or (labels.classes, labels.order) != (shown.classes, shown.order):
            self._show_chips(labels)
            self._label.refresh(labels)

    def _show_chips(self, labels: LabelSet) -> None:
        self._chips.clear()
        with self._chips:
            self._beside = {label.name: self._show_chip(label) for label in labels.in_order}
        self._show_refusal()

    def _show_chip(self, label: LabelClass) -> ui.element:
        """Show a label; return the place beside it for what is refused about it."""
        with ui.element('div').classes('chip').props('role=listitem'):
            edit = ui.element('button').classes('name').props('type=button')
            edit.props['aria-label'] = f'Edit {label.name}'
            edit.on('click', lambda: self._edit(label))
            with edit:
                ui.html(swatch(label.color), sanitize=False, tag='span')
                ui.label(label.name)
                if label.prompts != (label.name,):
                    ui.label(', '.join(label.prompts)).classes('faint prompts')
                for group in label.groups:
                    ui.label(group).classes('group')
            self._show_cross(f'Remove {label.name}', lambda: self._remove(label.name))
        return ui.element('div').classes('beside').props('role=alert')

    def _show_refusal(self) -> None:
        for place in (self._refusals, *self._beside.values()):
            if place.default_slot.children:
                place.clear()
        refusal = self._refusal
        if refusal is None:
            return
        with self._beside.get(refusal.name, self._refusals), ui.element('div').classes('chip refused'):
            if refusal.text:
                ui.label(refusal.text).classes('name')
            ui.label(refusal.reason).classes('reason')
            self._show_cross('Dismiss', lambda: self._note(None))

    def _show_cross(self, title: str, action: Callable[[], Any]) -> None:
        cross = ui.element('button').classes('cross').props('type=button')
        cross.props['aria-label'] = title
        cross.on('click', action)
        with cross:
            ui.icon('close')

    def _edit(self, label: LabelClass) -> None:
        if self._shown is not None:
            self._label.open(label, self._shown)

    async def _add(self) -> None:
        labels = split_labels(self._input.value or '')
        if not labels:
            return
        await self._change(labels, ADD, text=', '.join(labels)[:MOST_TEXT])
        if self._refusal is None:
            self._input.set_value('')

    async def _remove(self, name: str) -> None:
        await self._change([name], REMOVE, name=name)

    async def _save(self, label: LabelClass, spec: str, groups: Sequence[str]) -> None:
        try:
            edit = LabelEdit.of(label, spec, groups)
        except LabelError as error:
            self._note(_Refusal(one_line(error), text=spec[:MOST_TEXT], name=label.name))
            return
        text = ', '.join(filter(None, (edit.spec, *sorted(edit.joined | edit.left))))
        self._note_answer(*await answer_of(self._robot.edit_label, edit), text=text[:MOST_TEXT], name=label.name)

    async def _load(self, file: LabelFile) -> None:
        self._note_answer(*await answer_of(self._robot.load_labels, file))

    async def _move(self, name: str, step: int) -> None:
        response, failure = await answer_of(self._robot.move_label, name, step)
        self._note_answer(response, failure, name=name)

    async def _bring_back(self) -> None:
        self._note_answer(*await answer_of(self._robot.undo_labels))

    async def _change(self, labels: Sequence[str], mode: str, **about: str) -> None:
        """Ask the node for a change, and show why it refuses; `about` are fields of _Refusal."""
        self._note_answer(*await answer_of(self._robot.set_labels, list(labels), mode), **about)

    def _note_answer(self, response: SetLabels.Response | None, failure: str, **about: str) -> None:
        reason = failure if response is None else '' if response.success else str(response.message)
        self._note(_Refusal(reason, **about) if reason else None)

    def _note(self, refusal: _Refusal | None) -> None:
        self._refusal = refusal
        self._show_refusal()
