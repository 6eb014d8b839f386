# SPDX-License-Identifier: Apache-2.0
"""The fixed colour of every class id."""

from __future__ import annotations

from functools import cache

import numpy as np

from lseg_ros.labels.ids import UNLABELLED

_OTHER_COLOR = (70, 70, 70)
# Chosen by hand, because the first labels, such as floor and wall, often fill the image.
_FIRST_COLORS = ((60, 200, 80), (75, 125, 215), (245, 190, 60), (220, 85, 60))
_LIGHTNESS = (0.5, 0.92)  # visible on black and on white
_CHROMA = (0.07, 0.2)  # neither grey, which is for "other", nor glaring

# Linear sRGB to cone responses, and their cube roots to lightness and two opponent colours:
# OKLab (Ottosson 2020, "A perceptual color space for image processing").
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def class_color(class_id: int) -> tuple[int, int, int]:
    """Return the (R, G, B) of an id: dark grey for OTHER, black for UNLABELLED.

    After the first few, each colour is the farthest in OKLab from all before it, so the fewer
    classes there are, the easier they are to distinguish.
    """
    return _palette()[class_id]


@cache
def _palette() -> tuple[tuple[int, int, int], ...]:
    levels = np.linspace(0, 255, 18).round().astype(int)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing='ij'), -1).reshape(-1, 3)
    lab = _oklab(colors)
    usable = _within(lab[:, 0], _LIGHTNESS) & _within(np.hypot(lab[:, 1], lab[:, 2]), _CHROMA)
    colors, lab = colors[usable], lab[usable]
    chosen = [_OTHER_COLOR, *_FIRST_COLORS]
    taken = _oklab(np.array(chosen))
    distance = np.linalg.norm(lab[:, None] - taken, axis=2).min(1)
    for _ in range(len(chosen), UNLABELLED):
        best = int(distance.argmax())
        chosen.append(tuple(colors[best].tolist()))
        distance = np.minimum(distance, np.linalg.norm(lab - lab[best], axis=1))
    return (*chosen, (0, 0, 0))


def _within(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (limits[0] < values) & (values < limits[1])


def _oklab(colors: np.ndarray) -> np.ndarray:
    """Convert uint8-valued sRGB [N, 3] to OKLab [N, 3]."""
    encoded = colors / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    lab: np.ndarray = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    return lab
