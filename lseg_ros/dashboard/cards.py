# SPDX-License-Identifier: Apache-2.0
"""The frame of each part of the page, and small parts that several share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from typing import Any, TypeVar

from nicegui import ui

from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelClass

Result = TypeVar('Result')


def card(title: str, name: str) -> ui.element:
    """Return a titled section of the page; `name` is its CSS class."""
    section = ui.element('section').classes(f'card {name}').props(f'aria-label="{title}"')
    with section:
        ui.html(title, sanitize=False, tag='h2')
    return section


def class_name(label: LabelClass) -> str:
    """Return HTML of the colour and the name of a class."""
    return f'<span class="class">{swatch(label.color)}<b>{escape(label.name)}</b></span>'


def swatch(color: tuple[int, int, int]) -> str:
    """Return HTML of a small square in the colour of a class."""
    return f'<span class="swatch" style="background: rgb{tuple(color)}"></span>'


async def answer_of(call: Callable[..., Result], *arguments: Any) -> tuple[Result | None, str]:
    """Call a blocking service in another thread; return its response, or None and why it failed."""
    try:
        return await asyncio.to_thread(call, *arguments), ''
    except (TimeoutError, ValueError) as error:
        return None, one_line(error)
