# SPDX-License-Identifier: Apache-2.0
"""Read and create sensor_msgs/PointCloud2, as sensor_msgs_py.point_cloud2 offers it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
import pointcloud2
from pointcloud2 import dtype_from_fields, read_points
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

__all__ = ['create_cloud', 'dtype_from_fields', 'read_points']


def create_cloud(
    header: Header, fields: Iterable[PointField], points: np.ndarray, step: int | None = None
) -> PointCloud2:
    """Return a message with `points` [N] or [H,W], a structured array laid out as `fields`."""
    fields = list(fields)
    cloud = pointcloud2.create_cloud(header, fields, points, step)
    return PointCloud2(
        header=header,
        height=cloud.height,
        width=cloud.width,
        fields=fields,
        is_bigendian=cloud.is_bigendian,
        point_step=cloud.point_step,
        row_step=cloud.row_step,
        data=array('B', cloud.data),
        is_dense=cloud.is_dense,
    )
