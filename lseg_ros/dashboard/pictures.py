# SPDX-License-Identifier: Apache-2.0
"""Pictures for browsers: JPEG in the size that is shown, and relevance as heat over an image."""

from __future__ import annotations

from collections.abc import Hashable

import cv2
import numpy as np

JPEG_QUALITY = 80
WIDTH_STEP = 160  # so that browsers of similar size share their pictures
MAX_WIDTH = 1920
_CACHED = 8


class JpegCache:
    """The last pictures as JPEG, so that several browsers cost one encoding."""

    def __init__(self) -> None:
        """Start empty."""
        self._encoded: dict[Hashable, bytes] = {}

    def encode(self, key: Hashable, pixels: np.ndarray, width: int) -> bytes:
        """Return the picture `key`, uint8 RGB [H, W, 3], about `width` pixels wide or smaller."""
        width = min(-(-width // WIDTH_STEP) * WIDTH_STEP, MAX_WIDTH)
        place = (key, width)
        if (found := self._encoded.get(place)) is not None:
            return found
        encoded = jpeg(reduced(pixels, width))
        self._encoded = {**dict(list(self._encoded.items())[1 - _CACHED :]), place: encoded}
        return encoded


def jpeg(pixels: np.ndarray) -> bytes:
    """Return an image, uint8 RGB [H, W, 3], as JPEG."""
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return encoded.tobytes()


def png(pixels: np.ndarray) -> bytes:
    """Return an image, uint8 [H, W] or RGB [H, W, 3], as PNG."""
    _, encoded = cv2.imencode('.png', cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels)
    return encoded.tobytes()


def reduced(pixels: np.ndarray, width: int) -> np.ndarray:
    """Return the image, or a copy of at most `width` pixels across."""
    height, present = pixels.shape[:2]
    if present <= width:
        return pixels
    return cv2.resize(pixels, (width, max(1, round(height * width / present))), interpolation=cv2.INTER_AREA)


def heat(pixels: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Return an image in grey, with warm colours where `relevance`, uint8 [H, W], is high.

    `pixels` is uint8 RGB of any size; the result, uint8 RGB [H, W, 3], has that of `relevance`.
    """
    height, width = relevance.shape
    fitted = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.cvtColor(fitted, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    warm = cv2.cvtColor(cv2.applyColorMap(relevance, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = (0.15 + 0.75 * relevance.astype(np.float32) / 255)[..., None]
    return np.rint(grey * (1 - weight) + warm * weight).astype(np.uint8)
