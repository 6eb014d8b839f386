# SPDX-License-Identifier: Apache-2.0
"""The stream made from a node's parameters: its network, its cameras and their settings."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from lseg_ros.core import open_segmenter
from lseg_ros.core.cameras import Camera, parse_cameras
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.core.smoothing import ScoreSmoother
from lseg_ros.labels import LabelSet
from lseg_ros.nodes.segmentation.camera_geometry import CameraGeometry, GeometrySettings
from lseg_ros.nodes.segmentation.camera_info import parse_output_size
from lseg_ros.nodes.segmentation.camera_stream import CameraStream
from lseg_ros.nodes.segmentation.outputs import Outputs
from lseg_ros.nodes.segmentation.parameters import value_of
from lseg_ros.nodes.segmentation.stream import SegmentationStream

WARM_UP_SIZE = (480, 640)


def create_stream(
    node: Node, labels: LabelSet, on_problem: Callable[[str], None]
) -> SegmentationStream:
    """Return the stream that the parameters of `node` ask for, warm, with `labels` latched.

    `on_problem` is told what goes wrong in the stream. Raises ValueError for a parameter that
    cannot be used, and what loading the model raises.
    """
    cameras = parse_cameras(value_of(node, 'cameras'))
    output_size = parse_output_size(value_of(node, 'output_size'))
    segmenter = _create_segmenter(node)
    segmenter.warm_up(*WARM_UP_SIZE)
    stream = SegmentationStream(
        segmenter,
        segmenter.prepare(labels),
        [_create_camera(node, camera, on_problem) for camera in cameras],
        on_problem,
        output_size,
        value_of(node, 'confidence_threshold'),
    )
    stream.set_max_rate(value_of(node, 'max_rate'))
    return stream


def _create_segmenter(node: Node) -> Segmenter:
    best = value_of(node, 'quality') == 'best'
    return open_segmenter(
        value_of(node, 'model'),
        device=value_of(node, 'device'),
        precision=value_of(node, 'precision'),
        backend='auto' if best else value_of(node, 'backend'),
        threads=value_of(node, 'cpu_threads'),
        input_size=None if best else value_of(node, 'input_size') or None,
        quality=value_of(node, 'quality'),
        text_model=value_of(node, 'text_model') or None,
    )


def _create_camera(node: Node, camera: Camera, on_problem: Callable[[str], None]) -> CameraStream:
    outputs = Outputs(
        node, camera, value_of(node, 'label_encoding'), value_of(node, 'overlay_alpha')
    )
    geometry = CameraGeometry(
        outputs,
        GeometrySettings(
            value_of(node, 'depth_slop'),
            value_of(node, 'points_stride'),
            value_of(node, 'rectified'),
        ),
    )
    smoother = ScoreSmoother(value_of(node, 'temporal_smoothing'), value_of(node, 'temporal_warp'))
    return CameraStream(camera, outputs, geometry, smoother, node.get_clock(), on_problem)
