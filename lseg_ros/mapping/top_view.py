# SPDX-License-Identifier: Apache-2.0
"""Pictures of a map from above: what lies at each place, marks, a scale bar and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lseg_ros.mapping.approach import GroundPose
from lseg_ros.mapping.ground_grid import near_the_others
from lseg_ros.media.fonts import Font, font_for, plain_font

Color = tuple[int, int, int]

# Colours of marks, chosen to differ from each other and from furniture.
MARK_COLORS: tuple[Color, ...] = (
    *((230, 25, 75), (0, 110, 230), (20, 150, 60), (245, 130, 48), (145, 30, 180), (0, 160, 170)),
    *((200, 0, 140), (130, 90, 30), (90, 110, 0), (70, 70, 200)),
)
_CUT_M = 1.8  # above the floor: what is higher, such as the ceiling, would hide the rest
_SHARE_IN_VIEW = 0.9995  # of the voxels; a few stray ones must not make all others small
_MARGIN_M = 0.4
_LONG_SIDE = 1000  # pixels, about
_MOST_PIXELS_PER_CELL = 8
_LETTER, _LINE, _PAD = 17, 26, 12  # pixels: height of letters and lines, and empty space
_BADGE = 11  # pixels: radius of the disc with a number
_PAPER, _INK, _RULE = (255, 255, 255), (30, 30, 30), (222, 222, 222)
_BAR_LENGTHS_M = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class Mark:
    """A thing in a picture: the box around it, and a pose from which to look at it.

    `centre` and `size` are x, y and z in metres. Without a number, the box is thin.
    """

    number: str
    color: Color
    centre: np.ndarray
    size: np.ndarray
    pose: GroundPose | None = None


@dataclass(frozen=True)
class Entry:
    """A line of a legend; one without a number has a square of its colour, if it has one."""

    text: str
    color: Color | None = None
    number: str = ''


class TopView:
    """The part of the ground that pictures show, from above: x to the right and y up.

    Pictures of one TopView have one size, so that they can be compared side by side.
    """

    def __init__(self, cells: np.ndarray, voxel_size: float, floor: float = 0.0) -> None:
        """Show voxels [N, 3] of this size; `floor` is the height of the floor, in metres.

        Raise ValueError if none lies below the height at which the picture cuts the map.
        """
        self._voxel_size = voxel_size
        self._top = (floor + _CUT_M) / voxel_size
        shown = cells[(cells[:, 2] < self._top) & near_the_others(cells)]
        if not len(shown):
            raise ValueError(
                f'nothing in the map is lower than {_CUT_M:g} m above a floor at {floor:g} m: give the height of the '
                'floor in the frame of the map'
            )
        outside, margin = (1 - _SHARE_IN_VIEW) / 2, math.ceil(_MARGIN_M / voxel_size)
        low, high = np.quantile(shown[:, :2], (outside, 1 - outside), axis=0, method='nearest').astype(int)
        self._low, self._count = low - margin, high - low + 1 + 2 * margin
        scale = _LONG_SIDE / self._count.max()
        self._scale = min(math.floor(scale), _MOST_PIXELS_PER_CELL) if scale >= 1 else scale  # pixels per cell
        self._size = tuple(max(1, round(count * self._scale)) for count in self._count)

    def picture(self, title: str, cells: np.ndarray, colors: np.ndarray, marks: Sequence[Mark] = ()) -> Image.Image:
        """Return a picture of voxels [N, 3] in their colours, uint8 [N, 3], with marks on top."""
        picture = self._ruled()
        picture.paste(*self._painted(cells, colors))
        draw = ImageDraw.Draw(picture)
        for mark in marks:
            self._draw_box(draw, mark)
        for mark in marks:
            self._draw_pose(draw, mark)
            if mark.number:
                _draw_badge(draw, self._pixel(*mark.centre[:2]), mark.number, mark.color)
        framed = Image.new('RGB', (picture.width, picture.height + 2 * _LINE + _PAD), _PAPER)
        framed.paste(picture, (0, _LINE + _PAD // 2))
        draw = ImageDraw.Draw(framed)
        draw.text((2, _LINE // 2), title, _INK, _font(title, _LETTER + 2), anchor='lm')
        self._draw_bar(draw, framed.height - _LINE // 2)
        return framed

    def _ruled(self) -> Image.Image:
        """Return an empty picture with a line every metre, or every ten."""
        picture = Image.new('RGB', self._size, _PAPER)
        draw = ImageDraw.Draw(picture)
        width, height = self._size
        low, high = self._low * self._voxel_size, (self._low + self._count) * self._voxel_size
        step = 1 if high.max() - low.max() < 50 else 10
        for x in range(math.ceil(low[0] / step) * step, math.ceil(high[0]), step):
            column, _ = self._pixel(x, 0)
            draw.line((column, 0, column, height), _RULE)
        for y in range(math.ceil(low[1] / step) * step, math.ceil(high[1]), step):
            _, row = self._pixel(0, y)
            draw.line((0, row, width, row), _RULE)
        draw.rectangle((0, 0, width - 1, height - 1), outline=_RULE)
        return picture

    def _painted(self, cells: np.ndarray, colors: np.ndarray) -> tuple[Image.Image, tuple[int, int], Image.Image]:
        """Return the voxels that are shown, their corner in the picture, and a mask of them."""
        places = cells[:, :2] - self._low
        shown = (cells[:, 2] < self._top) & (places >= 0).all(1) & (places < self._count).all(1)
        order = np.flatnonzero(shown)[np.argsort(cells[shown, 2], kind='stable')]  # the highest hides the others
        columns, rows = places[order].T
        pixels = np.zeros((self._count[1], self._count[0], 4), np.uint8)
        pixels[self._count[1] - 1 - rows, columns, :3] = colors[order]
        pixels[self._count[1] - 1 - rows, columns, 3] = 255
        how = Image.Resampling.NEAREST if self._scale >= 1 else Image.Resampling.BOX
        painted = Image.fromarray(pixels).resize(self._size, how)
        return painted.convert('RGB'), (0, 0), painted.getchannel('A')

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return column and row of a place, in metres."""
        column, row = (np.array((x, y)) / self._voxel_size - self._low) * self._scale
        return round(column), round(self._size[1] - row)

    def _draw_box(self, draw: ImageDraw.ImageDraw, mark: Mark) -> None:
        left, bottom = self._pixel(*(mark.centre - mark.size / 2)[:2])
        right, top = self._pixel(*(mark.centre + mark.size / 2)[:2])
        if not mark.number:
            draw.rectangle((left, top, right, bottom), outline=mark.color)
            return
        draw.rectangle((left, top, right, bottom), outline='white', width=5)
        draw.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=mark.color, width=3)

    def _draw_pose(self, draw: ImageDraw.ImageDraw, mark: Mark) -> None:
        """Draw an arrowhead where the robot would stand, pointing where it would look."""
        if mark.pose is None:
            return
        x, y = self._pixel(mark.pose.x, mark.pose.y)
        turns = mark.pose.yaw + np.array([0, 2.5, math.pi, -2.5])
        reach = np.array([1.6, 1.3, 0.5, 1.3]) * _BADGE
        corners = [*zip(x + reach * np.cos(turns), y - reach * np.sin(turns))]
        draw.polygon(corners, mark.color, 'white', 2)

    def _draw_bar(self, draw: ImageDraw.ImageDraw, row: int) -> None:
        pixels_per_m = self._scale / self._voxel_size
        length_m = next((each for each in _BAR_LENGTHS_M if each * pixels_per_m > 90), _BAR_LENGTHS_M[-1])
        end = 2 + round(length_m * pixels_per_m)
        draw.rectangle((2, row - 3, end, row + 3), _INK)
        draw.text((end + 8, row), f'{length_m:g} m', _INK, plain_font(_LETTER), anchor='lm')
        draw.text((self._size[0] - 2, row), 'x right, y up', (110, 110, 110), plain_font(_LETTER - 2), anchor='rm')


def legend(entries: Sequence[Entry], width: int) -> Image.Image:
    """Return a legend of this width, in as many columns as fit."""
    texts = [(entry, _font(entry.text, _LETTER)) for entry in entries]
    column = max((round(font.getlength(entry.text)) for entry, font in texts), default=0) + 2 * _BADGE + 3 * _PAD
    columns = max(1, min(len(entries), width // column))
    rows = math.ceil(len(entries) / columns)
    panel = Image.new('RGB', (width, rows * _LINE + _PAD), _PAPER)
    draw = ImageDraw.Draw(panel)
    for place, (entry, font) in enumerate(texts):
        x, y = place // rows * (width // columns) + _BADGE + 2, place % rows * _LINE + (_PAD + _LINE) // 2
        if entry.number:
            _draw_badge(draw, (x, y), entry.number, entry.color or _INK)
        elif entry.color:
            draw.rectangle((x - 9, y - 9, x + 9, y + 9), entry.color, (120, 120, 120))
        draw.text((x + _BADGE + _PAD // 2, y), entry.text, _INK, font, anchor='lm')
    return panel


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures side by side."""
    sheet = Image.new(
        'RGB',
        (sum(each.width for each in pictures) + 2 * _PAD * (len(pictures) - 1), max(each.height for each in pictures)),
        _PAPER,
    )
    x = 0
    for each in pictures:
        sheet.paste(each, (x, 0))
        x += each.width + 2 * _PAD
    return sheet


def sheet(rows: Sequence[Image.Image]) -> Image.Image:
    """Return pictures below each other, on paper with a margin."""
    width = max(each.width for each in rows)
    paper = Image.new('RGB', (width + 2 * _PAD, sum(each.height for each in rows) + 2 * _PAD), _PAPER)
    y = _PAD
    for each in rows:
        paper.paste(each, (_PAD, y))
        y += each.height
    return paper


def shaded(colors: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return colours, uint8 [N, 3], of voxels [N, 3], darker for lower ones: so shapes show."""
    low, high = np.quantile(cells[:, 2], (0.02, 0.98)) if len(cells) else (0, 1)
    light = 0.8 + 0.2 * np.clip((cells[:, 2] - low) / max(high - low, 1), 0, 1)
    return np.rint(colors * light[:, None]).astype(np.uint8)


def _draw_badge(draw: ImageDraw.ImageDraw, at: tuple[int, int], number: str, color: Color) -> None:
    x, y = at
    draw.ellipse((x - _BADGE, y - _BADGE, x + _BADGE, y + _BADGE), color, 'white', 2)
    draw.text((x, y), number, 'white', plain_font(_LETTER - 3), anchor='mm')


def _font(text: str, size: int) -> Font:
    return font_for(text, size) or plain_font(size)
