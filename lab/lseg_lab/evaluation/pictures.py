# SPDX-License-Identifier: Apache-2.0
"""Images and masks of the benchmarks, read by Pillow as the authors read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def read_picture(path: Path) -> Image.Image:
    """The picture in RGB. Raises OSError, naming the file, when it cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.convert('RGB')
    except (OSError, SyntaxError, ValueError) as error:
        raise OSError(f'{path}: cannot be read as an image: {error}') from error


def read_mask(path: Path, gray: bool = False) -> np.ndarray:
    """The mask's values, uint8 [H, W]; of a palette image the indices.

    With `gray` a mask in colours becomes gray first. Raises OSError, naming the file, when it
    cannot be read or is no mask.
    """
    try:
        with Image.open(path) as picture:
            mask = np.array(picture.convert('L') if gray else picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise OSError(f'{path}: cannot be read as an image: {error}') from error
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise OSError(f'{path}: not an 8-bit mask of one channel')
    return mask
