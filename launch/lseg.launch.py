# SPDX-License-Identifier: Apache-2.0
"""Start the segmentation node and, by default, configure and activate it."""

from launch.actions import DeclareLaunchArgument
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription
from lseg_ros.nodes.autostart import autostart
from lseg_ros.nodes.transport import PROFILE_VARIABLE


def generate_launch_description() -> LaunchDescription:
    """Return the node, its arguments, and the two transitions of autostart."""
    node = LifecycleNode(
        package='lseg_ros',
        executable='segmentation_node',
        name=LaunchConfiguration('name'),
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        additional_env={PROFILE_VARIABLE: LaunchConfiguration('transport_profile')},
        parameters=[LaunchConfiguration('params_file'), {'use_sim_time': LaunchConfiguration('use_sim_time')}],
        remappings=[
            ('image', LaunchConfiguration('image')),
            ('image/compressed', [LaunchConfiguration('image'), '/compressed']),
            ('depth', LaunchConfiguration('depth')),
            ('camera_info', LaunchConfiguration('camera_info')),
        ],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
    )
    return LaunchDescription([*_input_arguments(), *_node_arguments(), node, *autostart(node)])


def _input_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'image',
            default_value='image',
            description='Topic of the camera images. With image_transport: compressed in the '
            'YAML file, the node subscribes to <image>/compressed.',
        ),
        DeclareLaunchArgument(
            'depth',
            default_value='depth',
            description='Topic of the depth images, which must be aligned to the camera images.',
        ),
        DeclareLaunchArgument(
            'camera_info', default_value='camera_info', description='Topic of the camera calibration (CameraInfo).'
        ),
    ]


def _node_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'params_file',
            description='YAML file with the parameters of the node.',
            default_value=PathJoinSubstitution([FindPackageShare('lseg_ros'), 'config', 'lseg.yaml']),
        ),
        DeclareLaunchArgument(
            'transport_profile',
            default_value=EnvironmentVariable(
                PROFILE_VARIABLE,
                default_value=PathJoinSubstitution([FindPackageShare('lseg_ros'), 'config', 'fastdds.xml']),
            ),
            description='XML profile of Fast DDS for the node. The default is the one set in the environment, or else '
            'one that reserves 128 MB of shared memory for large images and clouds.',
        ),
        DeclareLaunchArgument('name', default_value='lseg', description='Name of the node.'),
        DeclareLaunchArgument('namespace', default_value='', description='Namespace of the node.'),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=['true', 'false'],
            description='Whether to configure and activate the node at start-up.',
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='false',
            choices=['true', 'false'],
            description='Whether the node takes its time from /clock.',
        ),
        DeclareLaunchArgument(
            'log_level', default_value='info', description='Lowest severity to log: debug, info, warn, error or fatal.'
        ),
    ]
