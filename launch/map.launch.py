# SPDX-License-Identifier: Apache-2.0
"""Start the segmentation node and the map node and, by default, configure and activate both."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription
from lseg_ros.nodes.autostart import autostart
from lseg_ros.nodes.transport import PROFILE_VARIABLE


def generate_launch_description() -> LaunchDescription:
    """Return both nodes, their arguments, and the transitions of the map node."""
    share = FindPackageShare('lseg_ros')
    segmentation = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, 'launch', 'lseg.launch.py']))
    )
    node = LifecycleNode(
        package='lseg_ros',
        executable='map_node',
        name='lseg_map',
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        additional_env={PROFILE_VARIABLE: LaunchConfiguration('transport_profile')},
        parameters=[
            LaunchConfiguration('map_params_file'),
            {
                'use_sim_time': LaunchConfiguration('use_sim_time'),
                'segmentation_node': ParameterValue(LaunchConfiguration('name'), value_type=str),
            },
        ],
        remappings=[('depth', LaunchConfiguration('depth')), ('camera_info', LaunchConfiguration('camera_info'))],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
    )
    return LaunchDescription([_params_file(), segmentation, node, *autostart(node)])


def _params_file() -> DeclareLaunchArgument:
    """Return the argument of the map node; the others are those of lseg.launch.py."""
    return DeclareLaunchArgument(
        'map_params_file',
        description='YAML file with the parameters of the map node.',
        default_value=PathJoinSubstitution([FindPackageShare('lseg_ros'), 'config', 'map.yaml']),
    )
