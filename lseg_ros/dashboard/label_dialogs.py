# SPDX-License-Identifier: Apache-2.0
"""The dialogs of the label editor: one for a label, and one that loads a set of labels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import PurePosixPath

from nicegui import ui
from nicegui.events import UploadEventArguments

from lseg_ros.dashboard.actions import SingleAction
from lseg_ros.dashboard.label_changes import movable_names
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelClass, LabelError, LabelSet, read_label_file
from lseg_ros.labels.files import LabelFile, parse_label_file, shipped_label_files
from lseg_ros.labels.syntax import NAME_LIMIT

MAX_FILE_BYTES = 64 * 1024
MOST_TEXT = 4096  # characters of a text about labels
GROUPS_HINT = 'Each group has a mask of its own. For a new one, type its name and press Enter.'
ORDER_HINT = 'A node that starts with these labels numbers them in this order; until then, their ids stay.'


class LabelDialog:
    """Asks for the prompts and groups of a label, and moves it among the others."""

    def __init__(
        self,
        save: Callable[[LabelClass, str, Sequence[str]], Awaitable[object]],
        move: Callable[[str, int], Awaitable[object]],
    ) -> None:
        """Build the dialog, closed.

        `save` gets the label as it was when the dialog opened, and what the user wants: the label,
        written ``name=prompt|prompt``, and its groups. `move` gets a name and by how many places it
        is to come later.
        """
        self._save = save
        self._label: LabelClass | None = None
        with ui.dialog() as self._dialog, ui.element('div').classes('dialog').props('role=document'):
            self._title = ui.html(sanitize=True, tag='h2')
            self._prompts = ui.textarea('Prompts, one a line').props(f'outlined autogrow maxlength={MOST_TEXT}')
            ui.html('The best score of the prompts counts. The name and the id stay.', sanitize=False).classes('faint')
            self._groups = ui.select([], label='Groups', multiple=True, new_value_mode='add-unique')
            self._groups.props(f'outlined use-chips hint="{GROUPS_HINT}" maxlength={NAME_LIMIT}').classes('groups')
            with ui.element('div').classes('order').props('role=group aria-label="Order"'):
                self._earlier, self._later = (
                    SingleAction(partial(self._move, move, step)).button(title, icon=icon).props('flat dense no-caps')
                    for title, icon, step in (('Earlier', 'arrow_back', -1), ('Later', 'arrow_forward', 1))
                )
                self._place = ui.label().props('role=status')
            ui.html(ORDER_HINT, sanitize=False).classes('faint')
            with ui.element('div').classes('buttons'):
                ui.button('Cancel', on_click=self._dialog.close).props('flat no-caps')
                ui.button('Save', on_click=self._finish).props('unelevated no-caps')

    def open(self, label: LabelClass, labels: LabelSet) -> None:
        """Ask about this label, which is one of `labels`."""
        self._label = label
        self._title.set_content(label.name)
        self._prompts.set_value('\n'.join(label.prompts))
        self._groups.set_options(sorted(labels.groups), value=list(label.groups))
        self.refresh(labels)
        self._dialog.open()

    def refresh(self, labels: LabelSet) -> None:
        """Show where the label is among the present ones."""
        names = movable_names(labels)
        name = self._label.name if self._label else ''
        place = names.index(name) + 1 if name in names else 0
        self._earlier.set_enabled(place > 1)
        self._later.set_enabled(0 < place < len(names))
        self._place.set_text(f'{place} of {len(names)}' if place else 'always first')

    async def _move(self, move: Callable[[str, int], Awaitable[object]], step: int) -> None:
        if self._label is not None:
            await move(self._label.name, step)

    async def _finish(self) -> None:
        lines = (line.strip() for line in (self._prompts.value or '').splitlines())
        self._dialog.close()
        if self._label is not None:
            await self._save(self._label, f'{self._label.name}={"|".join(filter(None, lines))}', self._groups.value)


class FileDialog:
    """Offers the shipped sets of labels, and takes a file of the user's."""

    def __init__(self, load: Callable[[LabelFile], Awaitable[object]]) -> None:
        """Build the dialog, closed; `load` gets the chosen set."""
        self._load = load
        with ui.dialog() as self._dialog, ui.element('div').classes('dialog').props('role=document'):
            ui.html('Load a set of labels', sanitize=False, tag='h2')
            ui.html('It replaces the present labels and groups; Undo brings them back.', sanitize=False).classes(
                'faint'
            )
            with ui.element('div').classes('sets'):
                for name in shipped_label_files():
                    ui.button(name, on_click=lambda name=name: self._load_shipped(name)).props('outline dense no-caps')
            self._upload = ui.upload(
                label=f'Your own label file, YAML, at most {MAX_FILE_BYTES >> 10} KiB',
                max_file_size=MAX_FILE_BYTES,
                max_files=1,
                auto_upload=True,
                on_upload=self._load_uploaded,
                on_rejected=lambda: self._complain('The file is too large.'),
            ).props('accept=.yaml,.yml flat bordered')
            self._problem = ui.label().classes('problem').props('role=alert')
            with ui.element('div').classes('buttons'):
                ui.button('Cancel', on_click=self._dialog.close).props('flat no-caps')

    def open(self) -> None:
        """Ask for a set."""
        self._complain('')
        self._upload.reset()
        self._dialog.open()

    async def _load_shipped(self, name: str) -> None:
        await self._finish(read_label_file(name))

    async def _load_uploaded(self, event: UploadEventArguments) -> None:
        name = PurePosixPath(event.file.name)
        try:
            file = parse_label_file(await event.file.read(), name)
        except LabelError as error:
            self._complain(one_line(error))
            self._upload.reset()  # for the next try
            return
        await self._finish(file)

    async def _finish(self, file: LabelFile) -> None:
        self._dialog.close()
        await self._load(file)

    def _complain(self, problem: str) -> None:
        self._problem.set_text(problem)
