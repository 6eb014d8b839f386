# SPDX-License-Identifier: Apache-2.0
"""The dialogs of the label editor: the prompts of a label, and loading a set of labels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import PurePosixPath

from nicegui import ui
from nicegui.events import UploadEventArguments

from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelClass, LabelError, read_label_file
from lseg_ros.labels.files import LabelFile, parse_label_file, shipped_label_files

MAX_FILE_BYTES = 64 * 1024
MOST_TEXT = 4096


class PromptDialog:
    """Asks for the prompts of a label."""

    def __init__(self, save: Callable[[str], Awaitable[bool]]) -> None:
        """Build the dialog, closed; `save` gets the label, written ``name=prompt|prompt``."""
        self._save = save
        self._name = ''
        with ui.dialog() as self._dialog, ui.element('div').classes('dialog').props('role=document'):
            self._title = ui.html(sanitize=True, tag='h2')
            self._prompts = ui.textarea('Prompts, one a line').props(f'outlined autogrow maxlength={MOST_TEXT}')
            ui.html('The best score of the prompts counts. The name and the id stay.', sanitize=False).classes('faint')
            with ui.element('div').classes('buttons'):
                ui.button('Cancel', on_click=self._dialog.close).props('flat no-caps')
                ui.button('Save', on_click=self._finish).props('unelevated no-caps')

    def open(self, label: LabelClass) -> None:
        """Ask for the prompts of this label."""
        self._name = label.name
        self._title.set_content(f'Prompts of {label.name}')
        self._prompts.set_value('\n'.join(label.prompts))
        self._dialog.open()

    async def _finish(self) -> None:
        lines = (line.strip() for line in (self._prompts.value or '').splitlines())
        self._dialog.close()
        await self._save(f'{self._name}={"|".join(filter(None, lines))}')


class FileDialog:
    """Offers the shipped sets of labels, and takes a file of the user's."""

    def __init__(self, load: Callable[[Sequence[str]], Awaitable[bool]]) -> None:
        """Build the dialog, closed; `load` gets the labels of the chosen set."""
        self._load = load
        with ui.dialog() as self._dialog, ui.element('div').classes('dialog').props('role=document'):
            ui.html('Load a set of labels', sanitize=False, tag='h2')
            ui.html('It replaces the present labels; Undo brings them back.', sanitize=False).classes('faint')
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
        if await self._load(file.labels) and file.groups:
            ui.notify(
                'The labels keep their present groups: the node reads groups from its parameter labels_file only.'
            )

    def _complain(self, problem: str) -> None:
        self._problem.set_text(problem)
