# SPDX-License-Identifier: Apache-2.0
"""Read image files with OpenCV, without its exceptions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def read_opencv(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """Return the pixels, BGR if in colour; None if OpenCV cannot read the file."""
    try:
        return cv2.imread(str(path), flags)
    except cv2.error:
        return None
