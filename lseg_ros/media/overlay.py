# SPDX-License-Identifier: Apache-2.0
"""Draws segmentations: class colours over the image, and a legend."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lseg_ros.labels import LabelClass, LabelSet
from lseg_ros.media.fonts import Font, font_for, plain_font

DEFAULT_ALPHA = 0.5
# The legend shows the classes that have at least this share of the pixels.
IN_VIEW_SHARE = 0.001
_PANEL = (16, 16, 16, 170)


def overlay(image: np.ndarray, ids: np.ndarray, labels: LabelSet, alpha: float = DEFAULT_ALPHA) -> np.ndarray:
    """Return an image, uint8 RGB [H, W, 3], blended with the colours of `ids`, uint8 [H, W].

    `alpha` is the weight of the colours, 0..1; the borders between classes are opaque.
    Raise ValueError if the sizes differ.
    """
    if image.shape != (*ids.shape, 3):
        raise ValueError(
            f'an image of shape {list(image.shape)} cannot be overlaid with ids of shape '
            f'{list(ids.shape)}: the sizes must be equal'
        )
    colors = _colorized(ids, labels)
    picture = cv2.addWeighted(np.ascontiguousarray(image), 1 - alpha, colors, alpha, 0)
    return cv2.copyTo(colors, _borders(ids), picture)


def overlay_with_legend(
    image: np.ndarray, ids: np.ndarray, labels: LabelSet, alpha: float = DEFAULT_ALPHA
) -> np.ndarray:
    """Return `overlay` with a legend of the classes in view.

    The legend is at the top, since the floor, which matters most to a robot, is at the bottom.
    """
    picture = overlay(image, ids, labels, alpha)
    height, width = ids.shape
    panel = legend(labels, classes_in_view(ids, labels), width, height)
    if panel is not None:
        top = Image.fromarray(picture[: panel.height])
        top.paste(panel, (0, 0), panel)
        picture[: panel.height] = np.asarray(top)
    return picture


def classes_in_view(ids: np.ndarray, labels: LabelSet) -> tuple[int, ...]:
    """Return the ids of `labels` that have at least IN_VIEW_SHARE of the pixels, ascending."""
    counts = cv2.calcHist([np.ascontiguousarray(ids)], [0], None, [256], [0, 256]).ravel()
    return tuple(i for i in labels.ids if counts[i] >= max(1, IN_VIEW_SHARE * ids.size))


@lru_cache(maxsize=64)
def legend(labels: LabelSet, class_ids: tuple[int, ...], width: int, height: int) -> Image.Image | None:
    """Return the legend for an image of this size as an RGBA strip of the same width.

    Rows of colours and names take at most a third of the height; "+n" stands for names that do
    not fit. A name that no available font can draw is replaced by the first prompt that can be
    drawn, or else by "id n". Return None if there is nothing to show or no room.
    """
    size = min(max(min(width, height) // 28, 11), 36)
    row = round(1.5 * size)
    places = _lay_out(labels, class_ids, size, width, max(1, height // 3 // row))
    if not places or height < 2 * row:
        return None
    strip = Image.new('RGBA', (width, row * (1 + max(y for _, y, _ in places))), _PANEL)
    draw = ImageDraw.Draw(strip)
    for x, y, class_id in places:
        _draw_entry(draw, (x, y * row), size, labels.by_id(class_id))
    hidden = len(class_ids) - len(places)
    if hidden:
        draw.text((width - size // 2, strip.height - row // 2), f'+{hidden}', 'white', plain_font(size), anchor='rm')
    return strip


def _colorized(ids: np.ndarray, labels: LabelSet) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(ids))
    picture.putpalette(labels.palette().tobytes())
    return np.asarray(picture.convert('RGB'))


def _borders(ids: np.ndarray) -> np.ndarray:
    """Return uint8 [H, W]: 255 along class borders, which are wider in images above VGA."""
    mask = np.zeros(ids.shape, np.uint8)
    for step in range(1, 2 + min(ids.shape) // 600):
        mask[:, :-step] |= ids[:, :-step] != ids[:, step:]
        mask[:-step] |= ids[:-step] != ids[step:]
    mask *= np.uint8(255)
    return mask


def _lay_out(
    labels: LabelSet, class_ids: tuple[int, ...], size: int, width: int, rows: int
) -> list[tuple[int, int, int]]:
    """Return (x in pixels, row, class id) of the entries that fit, row by row."""
    places = []
    x, y = size // 2, 0
    for class_id in class_ids:
        text, font = _caption(labels.by_id(class_id), size)
        advance = round(font.getlength(text)) + 3 * size
        reserve = 3 * size if y == rows - 1 else 0  # for "+n"
        if x > size // 2 and x + advance > width - reserve:
            x, y = size // 2, y + 1
        if y == rows:
            break
        places.append((x, y, class_id))
        x += advance
    return places


def _draw_entry(draw: ImageDraw.ImageDraw, corner: tuple[int, int], size: int, label: LabelClass) -> None:
    x, y = corner
    text, font = _caption(label, size)
    draw.rectangle((x, y + size // 4, x + size, y + size // 4 + size), label.color, 'white')
    draw.text(
        (x + size * 3 // 2, y + size * 3 // 4),
        text,
        'white',
        font,
        anchor='lm',
        stroke_width=max(1, size // 12),
        stroke_fill='black',
    )


def _caption(label: LabelClass, size: int) -> tuple[str, Font]:
    """Return the text that represents a class in the legend, and a font that can draw it."""
    for text in (label.name, *label.prompts):
        if font := font_for(text, size):
            return text, font
    return f'id {label.id}', plain_font(size)
