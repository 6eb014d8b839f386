# SPDX-License-Identifier: Apache-2.0
"""``lseg view``: write what the model sees to a file for the Rerun viewer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lseg_ros.commands.label_options import add_label_options, chosen_labels
from lseg_ros.commands.model_options import add_model_options
from lseg_ros.media.inputs import plan
from lseg_ros.number_options import whole

HELP = 'write images, classes and points to a file for the Rerun viewer'
DESCRIPTION = """\
Segment a bag, a video or images, and write the result to a file for the Rerun viewer: the images,
their classes with names and colours, and, for a bag with aligned depth, the points.

  lseg view rosbag2_2026_01_01/                        -> rosbag2_2026_01_01.rrd
  lseg view drive.mp4 --labels "floor, chair=chair|armchair, door"
  lseg view photos/ --labels-file indoor --output photos.rrd
  rerun rosbag2_2026_01_01.rrd

Point at a pixel to read its class, and drag along the time axis to see how it changes. The command
needs the package rerun-sdk, which also has the viewer: pip install rerun-sdk==0.41.0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'input', metavar='BAG|FILE', help='a bag (folder, .mcap, .db3, .bag), a video, an image or a folder of images'
    )
    parser.add_argument('--output', metavar='RRD', type=Path, help='the file to write (default: NAME.rrd, here)')
    add_label_options(parser, 'indoor')
    parser.add_argument('--topic', default='', help='image topic of the bag (default: the only one that is not depth)')
    parser.add_argument(
        '--points-stride',
        metavar='N',
        type=whole(1, 64),
        default=4,
        help='use every nth row and column for points (default: 4)',
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file; return 1 if parts of the input could not be used, else 0."""
    labels = chosen_labels(args)
    target = args.output or Path(f'{Path(args.input).resolve().stem}.rrd')
    inputs = plan([args.input], target)

    from lseg_ros.commands.view_run import write_recording
    from lseg_ros.media.rerun_recording import check_installed

    check_installed()
    problems = write_recording(args, inputs, labels, target)
    print(f'{target}: open it with: rerun {target}')
    for problem in problems:
        print(f'lseg: {problem}', file=sys.stderr)
    return 1 if problems else 0
