# SPDX-License-Identifier: Apache-2.0
"""Time building a labelled point cloud from depth, image and label image."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from lseg_ros.core.cloud import PixelGrid, depth_in_metres, labelled_points, pixel_rays
from lseg_ros.nodes.conversions import OrganisedCloud

RATIONAL = np.array([0.4, -0.2, 0.001, 0.002, 0.05, 0.6, -0.1, 0.02])
DESCRIPTION = """\
Time one labelled cloud on this machine: depth, image and label image to a PointCloud2, not
counting its transport. The rays of a distorted camera, computed once per CameraInfo, are timed
separately. Prints milliseconds, median and 95th percentile. Needs a ROS 2 environment.

  python benchmark/time_cloud.py
  python benchmark/time_cloud.py --size 1280x720 --repeats 500
"""


def main() -> None:
    """Measure and print one row per depth encoding."""
    args = _parser().parse_args()
    width, height = (int(side) for side in args.size.split('x'))
    size = height, width
    matrix = np.array([[width, 0.0, width / 2], [0.0, width, height / 2], [0.0, 0.0, 1.0]])
    grid = PixelGrid.between(size, size)
    print(f'{args.size}, rays: {_spread(lambda: pixel_rays(grid, matrix, RATIONAL), 3)}\n')
    rays = pixel_rays(grid, matrix, RATIONAL)
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    ids, confidence = random.integers(0, 256, (2, *size), np.uint8)
    millimetres = random.integers(0, 5000, size, np.uint16)
    print(f'{"depth":>6} {"cloud":>15}')
    cloud = OrganisedCloud(size)

    def make(depth: np.ndarray) -> PointCloud2:
        labelled_points(depth_in_metres(depth), rays, image, ids, confidence, cloud.points)
        return cloud.stamped(Header())

    for encoding, depth in (('16UC1', millimetres), ('32FC1', millimetres.astype('f4') / 1000)):
        print(f'{encoding:>6} {_spread(partial(make, depth), args.repeats)}', flush=True)


def _spread(function: Callable[[], Any], repeats: int) -> str:
    """Return the median and 95th percentile of the milliseconds `function` takes."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return f'{np.median(times):>7.1f} {np.percentile(times, 95):>7.1f}'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', default='640x480', help='image size (default: 640x480)')
    parser.add_argument('--repeats', type=int, default=100, help='clouds per row (default: 100)')
    return parser


if __name__ == '__main__':
    main()
