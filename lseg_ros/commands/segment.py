# SPDX-License-Identifier: Apache-2.0
"""``lseg segment``: segment images, videos and bags on disk."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from lseg_ros.commands.label_options import add_label_options, chosen_labels
from lseg_ros.commands.model_options import add_model_options, add_output_option
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.inputs import Input, plan
from lseg_ros.whole_files import is_disk_full, write_whole

HELP = 'segment images, videos and bags into the classes you name'
DESCRIPTION = """\
Segment images, folders of images, videos and ROS bags into the classes you name.

A label is a name, optionally with prompts that describe it, of which the best one counts:

  lseg segment photo.jpg --labels "floor, chair=chair|armchair|stool, door"
  lseg segment recordings/ --labels-file indoor --output masks
  lseg segment 'run1/*.png' --labels "floor, wall" --no-other
  lseg segment photo.jpg --labels "floor, wall" --quality best
  lseg segment drive.mp4 --labels-file outdoor
  lseg segment rosbag2_2026_01_01/ --topic /camera/image_raw --labels "floor, person"

Pixels that fit none of the labels become "other", id 0, unless --no-other is given. A label named
other replaces the prompts of "other". The output folder contains labels.json, with the id, name,
prompts, colour and groups of each class, and for each input NAME:

  image  NAME.overlay.png  the image with the colours of the classes and a legend
         NAME.ids.png      the class id of each pixel, 255 below --threshold; a palette image:
                           viewers show colours, the pixel values are the ids
  video  NAME.overlay.mp4  the overlays as a video
         NAME.ids/         a palette image for each frame: 000000.png, 000001.png ...
  bag    NAME.labels/      a bag in the same storage format, to be played along with the input,
                           with the topics of the node: /lseg/label_image and /lseg/confidence
                           (mono8, header and time of recording from the image) and
                           /lseg/label_info; ROS 1 bags can be read too, and ROS is not needed

Inputs that cannot be read are reported and skipped; the exit status is then 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='an image, a video, a bag (folder, .mcap, .db3, .bag), a folder of images (searched '
        'recursively), or a quoted glob',
    )
    add_label_options(parser)
    parser.add_argument('--no-other', action='store_true', help='assign every pixel to a label')
    parser.add_argument('--topic', default='', help='image topic of the bags (default: the only one that is not depth)')
    add_output_option(parser, 'lseg_output')
    add_model_options(parser)
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.0,
        metavar='0..1',
        help='confidence below which a pixel gets no class (default: %(default)s)',
    )
    parser.add_argument(
        '--quality',
        choices=('fast', 'best'),
        default='fast',
        help="fast: one pass through the network; best: the authors' evaluation protocol of six "
        'scales, mirrored and in windows, about forty passes (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Segment the inputs; return 1 if some could not be read, else 0."""
    labels = chosen_labels(args, include_other=not args.no_other)
    inputs = plan(args.inputs, args.output)

    from tqdm import tqdm

    from lseg_ros.core.factory import open_segmenter
    from lseg_ros.media.segmenting import FileSegmenter

    segmenter = open_segmenter(
        args.model,
        device=args.device,
        backend=args.backend,
        openvino_device=args.openvino_device,
        quality=args.quality,
        progress=partial(tqdm, desc='windows', unit='window', leave=False, disable=None),
    )
    files = FileSegmenter(segmenter, labels, args.threshold, args.topic)
    _write_table(args.output, labels)
    done = 0
    for item in tqdm(inputs, unit='file', disable=None):
        try:
            files.segment(item)
        except OSError as error:
            tqdm.write(f'lseg: skipped {item.path}: {one_line(error)}', file=sys.stderr)
            if is_disk_full(error):
                break
        else:
            done += 1
    print(f'{done} of {_count(inputs)} segmented into {args.output}')
    return 0 if done == len(inputs) else 1


def _count(inputs: list[Input]) -> str:
    """Return the number and kind of the inputs: `3 images`, `2 files`."""
    kinds = {item.kind for item in inputs}
    name = kinds.pop().value if len(kinds) == 1 else 'file'
    return f'{len(inputs)} {name}s'


def _write_table(output: Path, labels: LabelSet) -> None:
    output.mkdir(parents=True, exist_ok=True)
    table = {'classes': [asdict(label) for label in labels.classes], 'unlabelled': UNLABELLED}
    text = json.dumps(table, indent=2, ensure_ascii=False)
    write_whole(output / 'labels.json', text + '\n')
