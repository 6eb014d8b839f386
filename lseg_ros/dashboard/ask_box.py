# SPDX-License-Identifier: Apache-2.0
"""A box for a text to look for, and what was found below it."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Generic, TypeVar

from nicegui import ui

from lseg_ros.dashboard.actions import SingleAction, answer_of
from lseg_ros.labels.syntax import PROMPT_LIMIT

Found = TypeVar('Found')
AGE_STEP_S = 10  # so that the text changes rarely


class AskBox(Generic[Found]):
    """Asks for a text in another thread, and shows the answer or why there is none."""

    def __init__(
        self, example: str, label: str, ask: Callable[[str], Found], html: Callable[[str, Found], str]
    ) -> None:
        """Build the box in the present slot.

        `example` shows while it is empty, and `label` says what it is for. `ask` may block, and
        raises ValueError or TimeoutError without an answer; `html` gets the text and the answer.
        """
        self._ask = ask
        self._html = html
        asking = SingleAction(self._find)
        with ui.element('div').classes('entry'):
            self._input = ui.input(placeholder=example).props(
                f'dense outlined maxlength={PROMPT_LIMIT} aria-label="{label}"'
            )
            self._input.on('keydown.enter', asking.run)
            asking.button('Find').props('unelevated no-caps')
        self._answered_s = 0.0
        self._subject = object()  # what the page shows now
        self._age = ui.label().classes('faint')
        self._result = ui.html(sanitize=False).classes('result').props('role=status')
        self.clear()

    def clear(self) -> None:
        """Forget the answer, which is not about what the page shows now."""
        self._subject = object()
        self._result.set_content('')
        self._age.set_text('')

    def refresh(self) -> None:
        """Say how old the answer is, once it is not new any more."""
        age = int(time.monotonic() - self._answered_s) // AGE_STEP_S * AGE_STEP_S
        self._age.set_text(f'asked {age} s ago' if age and self._result.content else '')

    async def _find(self) -> None:
        text = (self._input.value or '').strip()
        if not text:
            return
        subject = self._subject
        found, failure = await answer_of(self._ask, text)
        if subject is not self._subject:  # cleared meanwhile
            return
        self._answered_s = time.monotonic()
        self._result.set_content(
            f'<p class="problem">{escape(failure)}</p>' if found is None else self._html(text, found)
        )
