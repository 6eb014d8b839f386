# SPDX-License-Identifier: Apache-2.0
"""Labelled points from depth, and the rays of a distorted image."""

from __future__ import annotations

import numpy as np
import pytest

from lseg_ros.core.cloud import POINT, PixelGrid, depth_in_metres, labelled_points, pixel_rays

SIZE = (48, 64)
MATRIX = np.array([[60.0, 0.0, 30.0], [0.0, 55.0, 25.0], [0.0, 0.0, 1.0]])
PLUMB_BOB = np.array([-0.3, 0.1, 0.002, -0.001, 0.0])
RATIONAL = np.array([0.4, -0.2, 0.001, 0.002, 0.05, 0.6, -0.1, 0.02])


def whole(size=SIZE):
    return PixelGrid.between(size, size)


def made(*parts):
    points = np.empty(parts[0].shape, POINT)
    labelled_points(*parts, points)
    return points


def project(rays, distortion, matrix=MATRIX):
    """Return the pixels of rays [2, h, w], distorted by the formula in OpenCV's manual."""
    k1, k2, p1, p2, k3, k4, k5, k6 = np.pad(distortion, (0, 8 - len(distortion)))
    x, y = rays
    r2 = x * x + y * y
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    distorted_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    distorted_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return (matrix[0, 0] * distorted_x + matrix[0, 2], matrix[1, 1] * distorted_y + matrix[1, 2])


@pytest.mark.parametrize('distortion', [np.zeros(0), PLUMB_BOB, RATIONAL], ids=['none', 'plumb_bob', 'rational'])
def test_rays_of_the_pixels_meet_the_lens_at_those_pixels(distortion):
    u, v = project(pixel_rays(whole(), MATRIX, distortion).astype(np.float64), distortion)
    rows, columns = np.mgrid[:48, :64]
    assert np.abs(u - columns).max() < 0.02
    assert np.abs(v - rows).max() < 0.02


@pytest.mark.parametrize('stride', [1, 7])
@pytest.mark.parametrize(
    'distortion, bound',
    [
        ([-0.35, 0.14, 0.001, -0.002, -0.02], 0.01),  # a webcam
        ([0.5, -2.7, 0.0005, -0.0003, 1.6, 0.38, -2.5, 1.5], 0.01),  # a depth camera's colour sensor
        ([0.3, -0.1, 0.001, 0.002, 0.01, 0.6, -0.05, 0.02], 0.5),  # not invertible in the corners
    ],
    ids=['plumb_bob', 'rational', 'beyond reach'],
)
def test_rays_of_a_whole_image_meet_the_lens_within_a_hundredth_of_a_pixel(distortion, bound, stride):
    matrix = np.array([[380.0, 0.0, 322.0], [0.0, 381.0, 238.0], [0.0, 0.0, 1.0]])
    grid = PixelGrid.between((480, 640), (480, 640), stride)
    rays = pixel_rays(grid, matrix, np.array(distortion)).astype(np.float64)
    u, v = project(rays, distortion, matrix)
    error = np.maximum(np.abs(u - grid.columns), np.abs(v - grid.rows[:, None]))
    known = np.isfinite(rays[0])
    assert known.mean() > 0.85
    assert error[known].max() < bound
    alone = pixel_rays(PixelGrid(grid.rows[:1], grid.columns[:1]), matrix, np.array(distortion))
    np.testing.assert_allclose(rays[:, :1, :1], alone, atol=1e-4)


def test_pixels_beyond_the_reach_of_the_distortion_look_nowhere():
    # With this much barrel distortion no ray reaches the corners.
    strong = np.array([-1.5, 0.0, 0.0, 0.0])
    rays = pixel_rays(whole(), MATRIX, strong)
    assert np.isnan(rays[:, 0, 0]).all()
    assert np.isfinite(rays[:, 24, 30]).all()


def test_points_of_a_slanted_plane_lie_on_it_with_colour_label_and_confidence():
    normal, distance = np.array([0.1, -0.4, 1.0]), 2.0
    rays = pixel_rays(whole(), MATRIX, PLUMB_BOB)
    depth = (distance / (normal[0] * rays[0] + normal[1] * rays[1] + normal[2])).astype('f4')
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    ids = np.arange(48 * 64, dtype=np.uint32).astype(np.uint8).reshape(SIZE)
    points = made(depth, rays, image, ids, 255 - ids)
    assert points.shape == SIZE
    on_plane = normal @ np.stack([points[axis].ravel() for axis in 'xyz'])
    assert on_plane == pytest.approx(distance, abs=1e-5)
    assert np.array_equal(points['label'], ids)
    assert points['confidence'] == pytest.approx((255 - ids) / 255)
    colour = points['rgb'].copy().view('<u4')
    for shift, channel in ((16, 0), (8, 1), (0, 2)):
        assert np.array_equal(colour >> shift & 255, image[..., channel])


@pytest.mark.parametrize(
    'depth',
    [
        np.array([[0, 1500]], np.uint16),
        np.array([[np.nan, 1.5]], np.float32),
        np.array([[-1.0, 1.5]], np.float32),
        np.array([[np.inf, 1.5]], np.float32),
    ],
)
def test_pixels_without_a_distance_have_no_place_but_keep_their_label(depth):
    metres = depth_in_metres(depth)
    assert metres.dtype == np.float32
    grid = whole((1, 2))
    points = made(
        metres,
        pixel_rays(grid, MATRIX, np.zeros(0)),
        np.zeros((1, 2, 3), np.uint8),
        np.array([[3, 4]], np.uint8),
        np.full((1, 2), 255, np.uint8),
    )
    assert np.isnan([points[axis][0, 0] for axis in 'xyz']).all()
    assert points['z'][0, 1] == pytest.approx(1.5)
    assert points['label'].tolist() == [[3, 4]]


def test_pixel_whose_ray_is_unknown_has_no_place_at_all():
    rays = np.full((2, 1, 1), np.nan, np.float32)
    points = made(
        np.ones((1, 1), np.float32),
        rays,
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((1, 1), np.uint8),
    )
    assert np.isnan([points[axis][0, 0] for axis in 'xyz']).all()


def test_grid_takes_the_nearest_pixel_and_every_stride_th_of_them():
    pixels = np.arange(6 * 9).reshape(6, 9)
    assert PixelGrid.between((6, 9), (2, 3)).sample(pixels).tolist() == [[10, 13, 16], [37, 40, 43]]
    assert PixelGrid.between((6, 9), (6, 9), 4).sample(pixels).tolist() == [[0, 4, 8], [36, 40, 44]]
    assert whole((6, 9)).sample(pixels) is pixels
