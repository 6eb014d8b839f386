# SPDX-License-Identifier: Apache-2.0
"""Rays of a fisheye lens, against OpenCV's projection."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from lseg_ros.core.cloud import PixelGrid, pixel_rays

SIZE = (480, 640)
MATRIX = np.array([[190.0, 0.0, 322.0], [0.0, 195.0, 238.0], [0.0, 0.0, 1.0]])


def whole():
    return PixelGrid.between(SIZE, SIZE)


@pytest.mark.parametrize(
    'coefficients', [(0.0, 0.0, 0.0, 0.0), (0.05, -0.01, 0.003, -0.0005), (-0.02, 0.002, -0.001, 0.0001)]
)
def test_rays_meet_the_lens_at_their_pixels(coefficients):
    rays = pixel_rays(whole(), MATRIX, np.array(coefficients), is_fisheye=True).astype(np.float64)
    seen = np.isfinite(rays).all(0)
    assert seen.mean() > 0.6  # the corners look behind the camera
    assert seen[0, 320] and seen[240, 320]
    points = np.stack([*rays[:, seen], np.ones(seen.sum())], 1)[:, None]
    pixels, _ = cv2.fisheye.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, np.array(coefficients))
    rows, columns = np.nonzero(seen)
    np.testing.assert_allclose(pixels[:, 0], np.stack([columns, rows], 1), atol=0.01)


def test_ray_at_one_focal_length_from_the_centre_has_an_angle_of_one_radian():
    x, y = pixel_rays(PixelGrid(np.array([238]), np.array([512])), MATRIX, np.zeros(4), is_fisheye=True).ravel()
    assert (x, y) == pytest.approx((math.tan(1.0), 0.0))


def test_pixels_beyond_ninety_degrees_or_the_reach_of_the_model_look_nowhere():
    just_within, beyond = (322 + math.floor(190 * math.pi / 2), 322 + math.ceil(190 * math.pi / 2))
    row = pixel_rays(PixelGrid(np.array([238]), np.array([just_within, beyond])), MATRIX, np.zeros(4), True)
    assert np.isfinite(row[0, 0]).tolist() == [True, False]
    # With k1 = -0.3 no point is seen further than 0.70 focal lengths from the centre.
    folding = pixel_rays(
        PixelGrid(np.array([238]), np.array([322 + 130, 322 + 140])), MATRIX, -np.eye(4)[0] * 0.3, True
    )
    assert np.isfinite(folding[0, 0]).tolist() == [True, False]
