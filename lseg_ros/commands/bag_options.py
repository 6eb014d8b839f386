# SPDX-License-Identifier: Apache-2.0
"""The options of every command that reads bags with depth and poses."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True)
class BagOptions:
    """Which topics and transforms of bags are used.

    Attributes:
        topics: image topics; by default the only one that is not depth.
        depths: depth topic of each; by default the one aligned to the images.
        infos: camera_info topic of each; by default the one beside the images.
        map_frame: frame of tf whose z points up.
        rectified: whether images follow P of their CameraInfo, without distortion.
    """

    topics: tuple[str, ...] = ()
    depths: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    map_frame: str = 'map'
    rectified: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError unless depth and camera_info are given for all cameras or none."""
        cameras = len(self.topics) or 1
        for option, given in (('--depth', self.depths), ('--camera-info', self.infos)):
            if len(given) not in (0, cameras):
                raise ValueError(f'{option} names {len(given)} topics for {cameras} cameras: give one for each')

    def cameras(self) -> Iterable[tuple[str, str, str]]:
        """Return the topics of each camera: image, depth and camera_info; empty if to be found."""
        return zip_longest(self.topics or ('',), self.depths, self.infos, fillvalue='')


def add_bag_options(group: argparse._ArgumentGroup) -> None:
    """Add --topic, --depth, --camera-info, --map-frame and --rectified."""
    for option, help_text in (
        ('--topic', 'image topics, one for each camera (default: the only one that is not depth)'),
        ('--depth', 'depth topic of each camera, if it is not found'),
        ('--camera-info', 'camera_info of each camera, if it is not found'),
    ):
        group.add_argument(option, metavar='TOPIC', action='extend', nargs='+', default=[], help=help_text)
    group.add_argument(
        '--map-frame', metavar='FRAME', default='map', help='frame of tf whose z points up (default: %(default)s)'
    )
    group.add_argument('--rectified', action='store_true', help='the images are rectified: use P, not K and D')


def chosen_bag_options(args: argparse.Namespace) -> BagOptions:
    """Return what the options say; raise ValueError if some cameras lack depth or camera_info."""
    return BagOptions(
        tuple(args.topic), tuple(args.depth), tuple(args.camera_info), args.map_frame, rectified=args.rectified
    )
