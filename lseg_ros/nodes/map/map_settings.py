# SPDX-License-Identifier: Apache-2.0
"""The parameters of the map node."""

from __future__ import annotations

from dataclasses import dataclass

from lseg_ros.core.cameras import parse_cameras
from lseg_ros.mapping import ranges
from lseg_ros.mapping.approach import ApproachLimits
from lseg_ros.mapping.ground_grid import TRAVERSABLE, GroundLimits
from lseg_ros.mapping.observation import DepthLimits
from lseg_ros.mapping.voxel_map import MapSettings
from lseg_ros.nodes.parameters import Parameters, at_once, parameter


@dataclass(frozen=True)
class MapNodeSettings:
    """The values of all parameters at one moment; the fields are the table of parameters."""

    segmentation_node: str = parameter(
        'lseg', 'Name of the segmentation node, whose embeddings, labels and ~/encode_text are used.'
    )
    cameras: tuple[str, ...] = parameter(
        ('',), 'Camera names, as in the segmentation node: front subscribes to front/depth and front/camera_info.'
    )
    input: str = parameter(
        'embedding',
        'What the map is made of: embeddings, or label images, which any segmentation node publishes. A map of '
        'label images can be asked for their labels only.',
        choices=('embedding', 'label_image'),
    )
    label_step: int = parameter(8, 'Use every nth row and column of label images.', range=(1, 64))
    map_frame: str = parameter('map', 'Frame of the map; tf must lead from the cameras to it.')
    tf_timeout: float = at_once(
        0.5, 'Seconds to wait for the depth, camera_info and transform of an image.', range=(0.0, 10.0)
    )
    depth_slop: float = parameter(
        0.02, 'Maximum difference, in seconds, between the stamps of an image and its depth image.', range=(0.0, 1.0)
    )
    rectified: bool = parameter(
        False, 'Whether the images are rectified: use P of camera_info, without distortion, instead of K and D.'
    )
    voxel_size: float = parameter(0.05, 'Side of a voxel, in metres.', range=ranges.VOXEL_SIZE)
    max_voxels: int = parameter(
        1_000_000, 'Number of voxels beyond which the oldest are forgotten.', range=(1000, 20_000_000)
    )
    most_weight: float = parameter(
        30.0, 'Frames after which a voxel counts as known; a larger number adapts more slowly.', range=(1.0, 1000.0)
    )
    clearing: float = parameter(
        2.0, 'Weight that a voxel loses when a frame sees through it; 0: nothing is cleared.', range=(0.0, 1000.0)
    )
    embedding_dims: int = parameter(
        0, 'Numbers kept of each embedding, along axes learned from the first 20,000 voxels; 0: all.', range=(0, 2048)
    )
    min_depth: float = parameter(ranges.MIN_DEPTH, 'Least depth used, in metres.', range=(0.0, 100.0))
    max_depth: float = parameter(4.0, 'Greatest depth used, in metres.', range=ranges.MAX_DEPTH)
    depth_noise: float = parameter(
        0.002, 'Standard deviation of depth at one metre; it grows with the square.', range=(0.0, 1.0)
    )
    traversable: tuple[str, ...] = at_once(
        TRAVERSABLE, 'Labels on which a robot may drive, if the labels have no group of the name traversable.'
    )
    floor_height: float = at_once(0.0, 'Height of the floor in the map, in metres.', range=ranges.FLOOR_HEIGHT)
    obstacle_low: float = at_once(0.1, 'Lower things on the floor are no obstacles, in metres.', range=(0.0, 10.0))
    obstacle_high: float = at_once(0.6, 'The robot drives under higher things, in metres.', range=(0.01, 100.0))
    approach_distance: float = at_once(
        1.0, 'Distance from a thing at which ~/query_map looks for a pose, in metres.', range=ranges.APPROACH_DISTANCE
    )
    robot_radius: float = at_once(0.25, 'Free radius around that pose, in metres.', range=ranges.ROBOT_RADIUS)
    minimum_score: float = at_once(ranges.MINIMUM_SCORE, 'Least score of an answer to ~/query_map.', range=(0.0, 1.0))
    publish_rate: float = parameter(1.0, 'How often a changed map is published, per second.', range=(0.01, 100.0))
    map_file: str = at_once('', 'File that ~/save_map and ~/load_map use if the request names none.')
    autosave_period: float = parameter(
        0.0, 'Seconds between saves of a changed map to map_file; 0: none.', range=(0.0, 86400.0)
    )

    def check(self) -> None:
        """Raise ValueError for values that cannot be used, alone or together."""
        _ = self.voxel_map, self.depth, self.ground
        parse_cameras(self.cameras or ())

    @property
    def voxel_map(self) -> MapSettings:
        """How the map is built; raise ValueError for a value that cannot be used."""
        return MapSettings(self.voxel_size, self.max_voxels, self.most_weight, self.clearing, self.embedding_dims)

    @property
    def uses_votes(self) -> bool:
        """Whether the map is made of label images."""
        return self.input == 'label_image'

    @property
    def depth(self) -> DepthLimits:
        """Which depth is used; raise ValueError for a value that cannot be used."""
        return DepthLimits(self.min_depth, self.max_depth, self.depth_noise)

    @property
    def ground(self) -> GroundLimits:
        """What is an obstacle; raise ValueError for a value that cannot be used."""
        return GroundLimits(self.floor_height, self.obstacle_low, self.obstacle_high)

    @property
    def approach(self) -> ApproachLimits:
        """How things are approached."""
        return ApproachLimits(self.approach_distance, self.robot_radius)


MAP_PARAMETERS = Parameters(MapNodeSettings)
