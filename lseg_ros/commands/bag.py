# SPDX-License-Identifier: Apache-2.0
"""``lseg bag``: replay the cameras of a bag for a node that runs."""

from __future__ import annotations

import argparse
from collections.abc import Container, Sequence
from pathlib import Path

HELP = 'replay a bag through the node, faster or slower (needs ROS 2)'
DESCRIPTION = """\
Publish the images of a ROS 2 bag, sqlite3 or mcap, as a camera would: image (or image/compressed),
and where the bag has them depth and camera_info. The messages go out as they were recorded, with
their stamps. It starts as soon as somebody listens to the image.

Several cameras are named, as in the node's parameter cameras: --topic front=/front/image_raw is
published as front/image, with the depth that lies below /front and its camera_info.

  lseg bag rosbag2_run1 --rate 0.5
  lseg bag run1.mcap --topic /front/image_raw --clock --loop
  lseg bag run1.mcap --topic front=/front/image_raw --topic left=/left/image_raw
  lseg bag run1.mcap --ros-args -r image:=/camera/image_raw -r __ns:=/robot

The node, in another terminal, before or after:

  ros2 launch lseg_ros lseg.launch.py use_sim_time:=true     # true with --clock

To segment a bag without ROS and without skipping an image: lseg segment BAG.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('bag', type=Path, metavar='BAG', help="a bag's folder, or its only file")
    parser.add_argument('--rate', type=float, default=1.0, metavar='FACTOR',
                        help='speed relative to the recording (default: %(default)s)')
    parser.add_argument('--topic', action='append', default=[], metavar='[CAMERA=]TOPIC',
                        help='image topic, once for each camera (default: the only one that is '
                             'not depth)')
    parser.add_argument('--depth-topic', action='append', default=[], metavar='[CAMERA=]TOPIC',
                        help='depth topic (default: the only one with depth, if any)')
    parser.add_argument('--camera-info-topic', action='append', default=[],
                        metavar='[CAMERA=]TOPIC',
                        help='CameraInfo topic (default: camera_info beside the image topic)')
    parser.add_argument('--clock', action='store_true',
                        help='publish the time of the recording on /clock')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--ros-args', nargs=argparse.REMAINDER, default=[],
                        help='the rest goes to ROS: remappings, namespace, log level')


def run(args: argparse.Namespace) -> int:
    """Replay to the end; errors are raised as exceptions that `lseg` tells in one line."""
    try:
        from lseg_ros.nodes.bag_player import BagTopics, play
    except ImportError as error:
        raise OSError(f'lseg bag needs ROS 2, which is not sourced here ({error}); '
                      'lseg segment reads bags without it') from error

    images = _by_camera('--topic', args.topic) or {'': ''}
    depths = _by_camera('--depth-topic', args.depth_topic, images)
    infos = _by_camera('--camera-info-topic', args.camera_info_topic, images)
    cameras = {name: BagTopics(image, depths.get(name, ''), infos.get(name, ''))
               for name, image in images.items()}
    play(args.bag, cameras, rate=args.rate, clock=args.clock, loop=args.loop,
         ros_arguments=args.ros_args)
    return 0


def _by_camera(option: str, values: Sequence[str],
               cameras: Container[str] | None = None) -> dict[str, str]:
    """Return the topics of CAMERA=TOPIC by their cameras; the name is empty where none is given.

    Raises ValueError for a camera given twice, or that is not among `cameras`.
    """
    topics = {}
    for value in values:
        name, _, topic = value.rpartition('=')
        if name in topics:
            raise ValueError(f'{option} {value}: there is one for the same camera already; name '
                             'each, as front=/front/image_raw')
        if cameras is not None and name not in cameras:
            raise ValueError(f'{option} {value}: no --topic is for camera {name!r}')
        topics[name] = topic
    return topics
