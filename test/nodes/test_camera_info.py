# SPDX-License-Identifier: Apache-2.0
"""CameraInfo scaled to the size of the published images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from lseg_ros.core.cloud import PixelGrid, pixel_rays
from lseg_ros.core.lens import image_camera, lens
from lseg_ros.nodes.camera_info import parse_output_size, scaled_camera_info

BASELINE_M = 0.05
HEADER = Header(frame_id='left')


def camera_info(fx=500.0, fy=510.0, cx=330.0, cy=235.0, **fields):
    values = {
        'width': 640,
        'height': 480,
        'distortion_model': 'plumb_bob',
        'd': [0.1, -0.2, 0.0, 0.0, 0.0],
        'r': np.eye(3).ravel(),
        'k': [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        'p': [fx, 0.0, cx, -fx * BASELINE_M, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    return CameraInfo(**values | fields)


def pixel(k, point):
    u, v, w = np.reshape(k, (3, 3)) @ point
    return np.array([u / w, v / w])


def test_point_keeps_its_relative_position_when_the_image_is_scaled():
    info = camera_info()
    scaled = scaled_camera_info(info, (480, 640), (120, 320), HEADER)
    assert (scaled.width, scaled.height, scaled.header) == (320, 120, HEADER)
    assert (scaled.distortion_model, list(scaled.d)) == ('plumb_bob', list(info.d))
    point = np.array([0.2, -0.1, 2.0])
    # Pixel centres are at whole numbers, so the image spans -0.5 to width - 0.5.
    share = (pixel(info.k, point) + 0.5) / [640, 480]
    assert (pixel(scaled.k, point) + 0.5) / [320, 120] == pytest.approx(share)
    fx, tx, fy = scaled.p[0], scaled.p[3], scaled.p[5]
    assert (fx, tx, fy) == pytest.approx((250, -250 * BASELINE_M, 127.5))


def test_same_size_leaves_the_matrices_unchanged():
    info = camera_info()
    same = scaled_camera_info(info, (480, 640), (480, 640), HEADER)
    assert list(same.k) == pytest.approx(list(info.k))
    assert list(same.p) == pytest.approx(list(info.p))


def test_region_of_interest_and_binning_are_applied_and_cleared():
    roi = RegionOfInterest(x_offset=200, y_offset=100, width=320, height=240, do_rectify=True)
    info = camera_info(roi=roi, binning_x=2, binning_y=2)
    scaled = scaled_camera_info(info, (120, 160), (120, 160), HEADER)
    assert (scaled.width, scaled.height, scaled.binning_x) == (160, 120, 0)
    assert (scaled.roi.width, scaled.roi.x_offset, scaled.roi.do_rectify) == (0, 0, True)
    assert (scaled.k[0], scaled.k[4]) == (250.0, 255.0)
    assert (scaled.k[2], scaled.k[5]) == pytest.approx((65 - 0.25, 67.5 - 0.25))


@pytest.mark.parametrize(
    'info, reason',
    [
        (camera_info(fx=0.0), 'focal lengths 0 and 510'),
        (camera_info(fy=float('nan')), 'nan'),
        (camera_info(cx=960.0), r'centre \(960, 235\) is outside 640 x 480'),
        (camera_info(width=1280, height=720), 'for 1280 x 720 pixels, but the image has 640 x 480'),
        (camera_info(binning_x=2, binning_y=2), 'for 320 x 240'),
        (CameraInfo(), 'for 0 x 0 pixels'),
    ],
)
def test_camera_info_that_cannot_belong_to_the_image_is_refused(info, reason):
    with pytest.raises(ValueError, match=reason):
        image_camera(info, (480, 640))


@pytest.mark.parametrize('model', ['equidistant', 'fisheye', 'kannala_brandt'])
@pytest.mark.parametrize('coefficients', [[], [0.0] * 4, [0.0] * 5])
def test_fisheye_without_coefficients_has_distances_proportional_to_angles(model, coefficients):
    info = camera_info(fx=200.0, fy=200.0, cx=320.0, cy=240.0, distortion_model=model, d=coefficients)
    one_focal_length_away = PixelGrid(np.array([240]), np.array([520]))
    x, y = pixel_rays(one_focal_length_away, *lens(info, image_camera(info, (480, 640)), rectified=False)).ravel()
    assert (x, y) == pytest.approx((math.tan(1.0), 0.0))


def test_fisheye_of_a_scaled_image_shows_a_place_under_the_same_ray():
    info = camera_info(distortion_model='equidistant', d=[0.1, -0.02, 0.01, -0.001])
    half = scaled_camera_info(info, (480, 640), (160, 213), HEADER)
    whole, small = (
        pixel_rays(PixelGrid(np.array([row]), np.array([column])), *lens(each, image_camera(each, size), False))
        for each, size, row, column in ((info, (480, 640), 1, 1), (half, (160, 213), 0, 0))
    )
    assert small == pytest.approx(whole, abs=0.005)


@pytest.mark.parametrize(
    'model, coefficients',
    [
        ('thin_prism_fisheye', []),
        ('thin_prism_fisheye', [0.0] * 4),
        ('equidistant', [0.1] * 5),
        ('omni', []),
        ('plumb_bob', [0.1] * 3),
    ],
)
def test_unknown_lens_is_refused_rather_than_taken_for_a_pinhole(model, coefficients):
    info = camera_info(distortion_model=model, d=coefficients)
    camera = image_camera(info, (480, 640))
    with pytest.raises(ValueError, match=f'unknown distortion model {model!r}'):
        lens(info, camera, rectified=False)
    assert lens(info, camera, rectified=True).matrix[0, 0] == 500.0


@pytest.mark.parametrize('model', ['', 'plumb_bob', 'rational_polynomial'])
@pytest.mark.parametrize('coefficients', [[], [0.0] * 5])
def test_pinhole_models_without_coefficients_have_no_distortion(model, coefficients):
    info = camera_info(distortion_model=model, d=coefficients)
    matrix, distortion, is_fisheye = lens(info, image_camera(info, (480, 640)), rectified=False)
    assert matrix[0, 0] == 500.0 and distortion.size == 0 and not is_fisheye


def test_output_size_is_width_and_height_or_unset():
    assert parse_output_size([424, 240]) == (240, 424)
    assert parse_output_size([0, 0]) is None
    assert parse_output_size([]) is None
    for bad in ([424], [0, 240], [-1, 240], [9000, 10], [1, 2, 3], [0]):
        with pytest.raises(ValueError, match='output_size must be'):
            parse_output_size(bad)
