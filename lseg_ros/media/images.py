# SPDX-License-Identifier: Apache-2.0
"""Reads and writes image files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from lseg_ros.whole_files import write_whole

if TYPE_CHECKING:
    from lseg_ros.labels import LabelSet

# Pillow reads more formats, some with external programs: EPS starts Ghostscript.
FORMATS = ('BMP', 'GIF', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'TIFF', 'WEBP')
# Formats whose 16-bit grey some versions of Pillow open in the 32-bit mode I.
_SIXTEEN_BIT_AS_I = frozenset({'PNG', 'PPM'})


def read_image(path: Path) -> np.ndarray:
    """Read an image file as uint8 RGB [H, W, 3], rotated as its EXIF data say.

    Raise OSError for any fault of the file.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return np.array(eight_bit(image).convert('RGB'))
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'not a readable image: {error}') from error


def eight_bit(picture: Image.Image) -> Image.Image:
    """Scale 16-bit grey of an opened file to 8 bits; Pillow would clip it at 255.

    Raise ValueError for float, signed and 32-bit grey, whose white level is unknown.
    """
    if picture.mode == 'F' or (picture.mode == 'I' and picture.format not in _SIXTEEN_BIT_AS_I):
        raise ValueError('it has float, signed or 32-bit values: convert it to 8 or 16 bits, unsigned')
    if not picture.mode.startswith('I'):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def write_ids(path: Path, ids: np.ndarray, labels: LabelSet) -> None:
    """Write class ids, uint8 [H, W], as a palette PNG whose pixel values are the ids."""
    picture = Image.fromarray(ids)
    picture.putpalette(labels.palette().tobytes())
    _write(path, picture)


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 RGB [H, W, 3] as a PNG."""
    _write(path, Image.fromarray(pixels))


def _write(path: Path, picture: Image.Image) -> None:
    data = io.BytesIO()
    picture.save(data, 'PNG')
    write_whole(path, data.getvalue())
