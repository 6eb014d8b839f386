# SPDX-License-Identifier: Apache-2.0
"""Start a camera node, the segmentation node and RViz, to try the package without a robot."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription
from lseg_ros.nodes.transport import PROFILE_VARIABLE


def generate_launch_description() -> LaunchDescription:
    """Return the three nodes and their arguments."""
    share = FindPackageShare('lseg_ros')
    # Without this profile, Fast DDS loses images larger than half a megabyte.
    profile = PathJoinSubstitution([share, 'config', 'fastdds.xml'])
    transport = SetEnvironmentVariable(PROFILE_VARIABLE, EnvironmentVariable(PROFILE_VARIABLE, default_value=profile))
    camera = Node(
        package='lseg_ros',
        executable='camera_node',
        name='camera',
        output='screen',
        parameters=[
            {
                'source': ParameterValue(LaunchConfiguration('source'), value_type=str),
                'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
            }
        ],
    )
    segmentation = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, 'launch', 'lseg.launch.py'])),
        launch_arguments={'params_file': LaunchConfiguration('params_file')}.items(),
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        name='rviz2',
        output='log',
        condition=IfCondition(LaunchConfiguration('rviz')),
        arguments=['-d', PathJoinSubstitution([share, 'config', 'lseg.rviz'])],
    )
    return LaunchDescription([*_arguments(), transport, camera, segmentation, rviz])


def _arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'source',
            default_value='drive',
            description='What the camera node publishes: drive (the recorded drive), the number '
            'of a webcam, or the path of an image, a folder of images or a video.',
        ),
        DeclareLaunchArgument(
            'rate', default_value='5.0', description='Images per second that the camera node publishes.'
        ),
        DeclareLaunchArgument(
            'params_file',
            description='YAML file with the parameters of the segmentation node.',
            default_value=PathJoinSubstitution([FindPackageShare('lseg_ros'), 'config', 'lseg.yaml']),
        ),
        DeclareLaunchArgument(
            'rviz', default_value='true', choices=['true', 'false'], description='Whether to start RViz.'
        ),
    ]
