# SPDX-License-Identifier: Apache-2.0
"""Image files: read as RGB, written as overlay and index image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from lseg_ros.labels import LabelSet


def read_image(path: Path) -> np.ndarray:
    """Read an image file into uint8 RGB [H, W, 3], turned as its EXIF says.

    Raises OSError, whatever is wrong with the file.
    """
    try:
        with Image.open(path) as image:
            return np.array(eight_bit(ImageOps.exif_transpose(image)).convert('RGB'))
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'not a readable image: {error}') from error


def eight_bit(picture: Image.Image) -> Image.Image:
    """Scale 16-bit grey, which Pillow would clip at 255, to 8 bits."""
    if not picture.mode.startswith('I'):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def write_ids(path: str | Path, ids: np.ndarray, labels: LabelSet) -> None:
    """Write class ids, uint8 [H, W], as a palette PNG: its values are the ids."""
    picture = Image.fromarray(ids)
    picture.putpalette(labels.palette().tobytes())
    picture.save(path)


def write_image(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 RGB [H, W, 3] in the format that the suffix of `path` names."""
    Image.fromarray(pixels).save(path)
