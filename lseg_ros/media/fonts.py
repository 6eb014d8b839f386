# SPDX-License-Identifier: Apache-2.0
"""Fonts for names in pictures."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

# Pillow's own font is the same everywhere but Latin only. For other scripts, these are looked for
# in the system's font folders.
_SYSTEM_FONTS = (
    'NotoSansCJK-Regular.ttc',
    'NotoSans-Regular.ttf',
    'DejaVuSans.ttf',
    'wqy-microhei.ttc',
    'DroidSansFallbackFull.ttf',
    'FreeSans.ttf',
)
_MISSING = '\U0010ffff'  # a code point that no font has
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def plain_font(size: int) -> Font:
    """Return the font for numbers and Latin letters."""
    return _fonts(size)[0]


def font_for(text: str, size: int) -> Font | None:
    """Return a font that can draw every character of a text; None if there is none."""
    return next((font for font in _fonts(size) if _can_draw(font, text)), None)


@lru_cache(maxsize=16)
def _fonts(size: int) -> tuple[Font, ...]:
    fonts = [ImageFont.load_default(size)]
    for name in _SYSTEM_FONTS:
        try:
            fonts.append(ImageFont.truetype(name, size))
        except OSError:  # not on this machine
            continue
    return tuple(fonts)


def _can_draw(font: Font, text: str) -> bool:
    missing = bytes(font.getmask(_MISSING))
    return all(char.isspace() or bytes(font.getmask(char)) != missing for char in text)
