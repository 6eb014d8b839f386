# SPDX-License-Identifier: Apache-2.0
"""The frame of each part of the page, and small parts that several share."""

from __future__ import annotations

from html import escape

from nicegui import ui

from lseg_ros.labels import LabelClass


def card(title: str, name: str) -> ui.element:
    """Return a titled section of the page; `name` is its CSS class."""
    section = ui.element('section').classes(f'card {name}').props(f'aria-label="{title}"')
    with section:
        ui.html(title, sanitize=False, tag='h2')
    return section


def show_age(note: ui.label, content: ui.element, text: str) -> None:
    """Say beside some content that it is old; fade it while there is something to say."""
    note.set_text(text)
    content.classes(add='old') if text else content.classes(remove='old')


def class_name(label: LabelClass) -> str:
    """Return HTML of the colour and the name of a class."""
    return f'<span class="class">{swatch(label.color)}<b>{escape(label.name)}</b></span>'


def swatch(color: tuple[int, int, int]) -> str:
    """Return HTML of a small square in the colour of a class."""
    return f'<span class="swatch" style="background: rgb{tuple(color)}"></span>'
