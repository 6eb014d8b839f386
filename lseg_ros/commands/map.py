# SPDX-License-Identifier: Apache-2.0
"""``lseg map``: build a map from a bag, and ask it in words."""

from __future__ import annotations

import argparse
import sys
from functools import cache, partial
from pathlib import Path

from lseg_ros.commands.bag_options import add_bag_options
from lseg_ros.commands.label_options import add_label_options
from lseg_ros.commands.model_options import add_model_options, open_chosen
from lseg_ros.mapping import ranges
from lseg_ros.media.inputs import SUFFIXES, Kind
from lseg_ros.number_options import SHARE, NumberType, whole

HELP = 'build a map of a building from a bag, and ask it where things are'
DESCRIPTION = """\
Build a map from a bag, ask it where things are, and draw it from above. None of this needs ROS.

  lseg map drive_bag/                          -> drive_bag.safetensors, drive_bag.png
  lseg map drive_bag/ --topic /front/image /left/image
  lseg map drive_bag.safetensors --ask bed "exit sign"
  lseg map drive_bag/ --ask bed

The map is the one that the map node builds, and both read each other's files. The bag needs colour
images, depth with the same size and frame, camera_info, and tf from the camera to the frame map. An
image without them is not used; the command says how many were not, and why.

A text competes with the labels: it is found where it fits better than all of them. The answers are
printed as a table: score, centre and size in metres, and a place on free ground from which a robot
can look at the thing, with its heading in degrees. The picture shows them with their numbers.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('input', metavar='BAG|MAP', type=Path, help='a bag (folder, .mcap, .db3, .bag), or a map')
    parser.add_argument(
        '--output', metavar='FILE', type=Path, help='file for the map of a bag (default: NAME.safetensors, here)'
    )
    parser.add_argument(
        '--picture', metavar='PNG', type=Path, help='file for the picture (default: that of the map, as .png)'
    )
    _add_ask_options(parser.add_argument_group('asking'))
    add_label_options(parser, default_file='navigation')
    _add_build_options(parser.add_argument_group('building from a bag'))
    add_model_options(parser)


def _add_ask_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--ask', metavar='TEXT', nargs='+', default=[], help='what to look for')
    group.add_argument(
        '--minimum-score',
        metavar='0..1',
        type=SHARE,
        default=ranges.MINIMUM_SCORE,
        help='least score of an answer (default: %(default)s)',
    )
    group.add_argument(
        '--top-k',
        metavar='N',
        type=whole(1, ranges.MOST_ANSWERS),
        default=1,
        help='most answers to each text (default: %(default)s)',
    )
    group.add_argument(
        '--approach-distance',
        metavar='M',
        type=NumberType(*ranges.APPROACH_DISTANCE),
        default=1.0,
        help='metres from which to look (default: %(default)s)',
    )
    group.add_argument(
        '--robot-radius',
        metavar='M',
        type=NumberType(*ranges.ROBOT_RADIUS),
        default=0.25,
        help='free radius around there (default: %(default)s)',
    )
    group.add_argument(
        '--floor-height',
        metavar='M',
        type=NumberType(*ranges.FLOOR_HEIGHT),
        default=0.0,
        help='height of the floor in the map; also for the picture (default: %(default)s)',
    )


def _add_build_options(group: argparse._ArgumentGroup) -> None:
    add_bag_options(group)
    group.add_argument(
        '--voxel-size',
        metavar='M',
        type=NumberType(*ranges.VOXEL_SIZE),
        default=0.05,
        help='side of a voxel (default: %(default)s)',
    )
    group.add_argument(
        '--max-depth',
        metavar='M',
        type=NumberType(above=ranges.MIN_DEPTH, most=ranges.MAX_DEPTH[1]),
        default=4.0,
        help='depth used at most (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Build and ask; return 1 if part of a bag is damaged, else 0."""
    target = _target(args)

    from lseg_ros.commands import map_run

    open_model = cache(partial(open_chosen, args))  # only if it is needed
    damaged = [] if target == args.input else map_run.build(args, target, open_model)
    map_run.show(args, target, open_model)
    for problem in damaged:
        print(f'lseg: {args.input}: {problem}', file=sys.stderr)
    return 1 if damaged else 0


def _target(args: argparse.Namespace) -> Path:
    """Return the file of the map: for a bag, a new one. Raise OSError if there is no input."""
    path: Path = args.input
    if not path.exists():
        raise FileNotFoundError(f'no such bag or map: {path}')
    if not path.is_dir() and path.suffix.lower() not in SUFFIXES[Kind.BAG]:
        return path
    target = args.output or Path(f'{path.resolve().stem}.safetensors')
    if target.exists():
        raise FileExistsError(f'{target} already exists: remove it, or give another --output')
    return target
