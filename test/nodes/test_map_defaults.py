# SPDX-License-Identifier: Apache-2.0
"""``lseg map`` and the map node make the same map of the same drive: their defaults agree."""

from __future__ import annotations

import argparse

from lseg_ros.commands import map as map_command
from lseg_ros.mapping.approach import ApproachLimits
from lseg_ros.mapping.observation import DepthLimits
from lseg_ros.mapping.voxel_map import MapSettings
from lseg_ros.nodes.map.map_settings import MapNodeSettings


def test_command_and_node_have_the_same_defaults():
    parser = argparse.ArgumentParser()
    map_command.add_arguments(parser)
    command, node = parser.parse_args(['flat.safetensors']), MapNodeSettings()
    assert (command.minimum_score, command.floor_height) == (node.minimum_score, node.floor_height)
    assert ApproachLimits(command.approach_distance, command.robot_radius) == node.approach
    assert MapSettings(voxel_size=command.voxel_size) == node.voxel_map
    assert DepthLimits(most=command.max_depth) == node.depth
    assert (command.map_frame, command.rectified) == (node.map_frame, node.rectified)
