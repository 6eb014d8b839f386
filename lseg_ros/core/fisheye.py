# SPDX-License-Identifier: Apache-2.0
"""Rays of a fisheye lens, by OpenCV's version of the model of Kannala and Brandt (2006)."""

from __future__ import annotations

import math

import numpy as np

# Sampled angles from the optical axis, in radians, below 90 degrees.
_ANGLES = np.linspace(0.0, math.pi / 2, 20_000, endpoint=False)


def fisheye_rays(pixels: np.ndarray, matrix: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return x/z and y/z of the points seen by `pixels`, float64 [h, w, 2] of x and y.

    `matrix` is K, [3, 3]. A point at angle a from the optical axis appears
    a + k1 a^3 + k2 a^5 + k3 a^7 + k4 a^9 focal lengths from the principal point, where k1 to k4
    are the four `coefficients`. A ray is NaN if no angle below 90 degrees gives its distance.
    """
    distances = _ANGLES * (1 + np.polynomial.polynomial.polyval(_ANGLES**2, [0.0, *coefficients]))
    turns = np.flatnonzero(np.diff(distances) <= 0)  # beyond this, distances are ambiguous
    end = turns[0] + 1 if turns.size else len(_ANGLES)
    seen = (pixels - matrix[:2, 2]) / np.diag(matrix)[:2]
    distance = np.hypot(seen[..., 0], seen[..., 1])
    angle = np.interp(distance, distances[:end], _ANGLES[:end], right=math.nan)
    stretch = np.divide(np.tan(angle), distance, out=np.ones_like(distance), where=distance > 0)
    rays: np.ndarray = seen * stretch[..., None]
    return rays
