# SPDX-License-Identifier: Apache-2.0
"""Actions of a browser: calls of services in other threads, and buttons that wait for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from nicegui import ui

from lseg_ros.error_text import one_line

Result = TypeVar('Result')
# Services may block for half a minute, during which the threads of asyncio encode pictures.
SERVICE_CALLS = ThreadPoolExecutor(max_workers=32, thread_name_prefix='dashboard call')


class SingleAction:
    """An action of a browser that is ignored while the last one is under way."""

    def __init__(self, act: Callable[[], Awaitable[object]]) -> None:
        """Wrap `act`."""
        self._act = act
        self._button: ui.button | None = None
        self.is_under_way = False

    def button(self, title: str, **options: Any) -> ui.button:
        """Return a new button for the action, which is disabled meanwhile."""
        self._button = ui.button(title, on_click=self.run, **options)
        return self._button

    async def run(self) -> None:
        """Act, unless that is under way already."""
        if self.is_under_way:
            return
        self._set_under_way(True)
        try:
            await self._act()
        finally:
            self._set_under_way(False)

    def _set_under_way(self, is_under_way: bool) -> None:
        self.is_under_way = is_under_way
        if self._button is not None:
            self._button.set_enabled(not is_under_way)


async def answer_of(call: Callable[..., Result], *arguments: Any) -> tuple[Result | None, str]:
    """Call a blocking service in another thread; return its response, or None and why it failed."""
    try:
        return await asyncio.get_running_loop().run_in_executor(SERVICE_CALLS, call, *arguments), ''
    except (TimeoutError, ValueError) as error:
        return None, one_line(error)
    except Exception as error:  # whatever a library raises, the user must hear of it
        logging.getLogger(__name__).exception('%s failed', getattr(call, '__name__', call))
        return None, f'{type(error).__name__}: {one_line(error)}'
