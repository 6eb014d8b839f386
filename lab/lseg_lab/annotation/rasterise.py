# SPDX-License-Identifier: Apache-2.0
"""Turn polygons into masks of class indices."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lseg_lab.annotation.labelme import Annotation
from lseg_ros.labels.ids import UNLABELLED

VOID = 'void'  # covers lower shapes and leaves the area unlabelled


def rasterise(annotation: Annotation, classes: Sequence[str]) -> np.ndarray:
    """Return the mask, uint8 [H, W]: indices into `classes`, 255 where nothing is labelled.

    Later shapes cover earlier ones. Raise ValueError if a label is not among the classes.
    """
    mask = np.full((annotation.height, annotation.width), UNLABELLED, np.uint8)
    index = {name: number for number, name in enumerate(classes)} | {VOID: UNLABELLED}
    for shape in annotation.shapes:
        if shape.label not in index:
            raise ValueError(f"{annotation.image}: '{shape.label}' is not among the classes")
        # LabelMe counts from the corner of the first pixel, OpenCV from its middle.
        points = np.round(shape.points - 0.5).astype(np.int32)
        cv2.fillPoly(mask, [points], index[shape.label])
    return mask


def snap_borders(image: np.ndarray, mask: np.ndarray, reach: int) -> np.ndarray:
    """Move the borders between areas of `mask` by at most `reach` pixels to edges in the image.

    A watershed (Meyer 1992) divides the strip along the borders, growing each area from its part
    outside the strip; areas that lie entirely within the strip do not change. `image` is uint8 RGB
    [H, W, 3]. Return a new mask, uint8 [H, W].
    """
    snapped: np.ndarray = mask.copy()
    if reach < 1:
        return snapped
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    inner = cv2.erode(mask, window) == cv2.dilate(mask, window)
    fixed = inner | ~_near_own_inside(mask, inner, window)
    markers = np.where(fixed, mask.astype(np.int32) + 1, 0)
    smooth = cv2.bilateralFilter(image, 5, 30, 3)
    grown = cv2.watershed(np.ascontiguousarray(smooth), markers)
    # The watershed assigns no value to its own lines and to the outermost pixels.
    snapped[grown > 0] = grown[grown > 0] - 1
    return snapped


def _near_own_inside(mask: np.ndarray, inner: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return bool [H, W]: whether an `inner` pixel of the same value lies within the window."""
    near: np.ndarray = np.zeros(mask.shape, bool)
    for value in np.unique(mask):
        same = mask == value
        near |= same & (cv2.dilate((inner & same).astype(np.uint8), window) > 0)
    return near
