# SPDX-License-Identifier: Apache-2.0
"""Read images and masks of the benchmarks with Pillow, as the authors do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def read_picture(path: Path) -> Image.Image:
    """Return the picture in RGB; raise OSError, naming the file, if it is unreadable."""
    try:
        with Image.open(path) as picture:
            return picture.convert('RGB')
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'{path}: cannot be read as an image: {error}') from error


def read_mask(path: Path, gray: bool = False) -> np.ndarray:
    """Return the mask's values, uint8 [H, W]; for a palette image these are the indices.

    With `gray` a colour mask is converted to gray first. Raise OSError, naming the file, if it is
    unreadable or not a mask.
    """
    try:
        with Image.open(path) as picture:
            mask = np.array(picture.convert('L') if gray else picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'{path}: cannot be read as an image: {error}') from error
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise OSError(f'{path}: not an 8-bit, one-channel mask')
    return mask
