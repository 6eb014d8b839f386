# SPDX-License-Identifier: Apache-2.0
"""``lseg segment``: images, videos and bags on disk to overlays and class ids."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.inputs import Input, plan

if TYPE_CHECKING:
    from lseg_ros.labels import LabelSet

HELP = 'segment images, videos and bags by the labels you name'
DESCRIPTION = """\
Segment images, folders of images, videos, ROS bags, and globs of them, by the labels you name.

A label is a name, or a name with the prompts that stand for it (the best of them counts):

  lseg segment photo.jpg --labels "floor, chair=chair|armchair|stool, door"
  lseg segment recordings/ --labels-file indoor --output masks
  lseg segment 'run1/*.png' --labels "floor, wall" --no-other
  lseg segment photo.jpg --labels "floor, wall" --quality best
  lseg segment drive.mp4 --labels-file outdoor
  lseg segment rosbag2_2026_01_01/ --topic /camera/image_raw --labels "floor, person"

Pixels that are none of the labels become "other", id 0, unless --no-other is given; a label
called other gives it prompts of its own. The output folder gets labels.json, the ids with their
names, prompts, colours and groups, and for each NAME

  image  NAME.overlay.png  the image, the colours of the classes and a legend
         NAME.ids.png      the class id of each pixel, 255 where --threshold leaves it undecided;
                           a palette image: viewers show colours, the pixel values are the ids
  video  NAME.overlay.mp4  the overlays as a video
         NAME.ids/         one palette image for each frame: 000000.png, 000001.png ...
  bag    NAME.labels/      a bag, sqlite3 or mcap as the one read, with the topics of the node:
                           /lseg/label_image and /lseg/confidence (mono8; header and time of
                           recording of the image), /lseg/label_info. Play both bags together.
                           ROS is not needed; ROS 1 bags are read as well.

What cannot be read is skipped and named, and the exit status is then 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IMAGE',
        help='an image, a video, a bag (folder, .mcap, .db3, .bag), a folder of '
        'images (searched to its depths), or a quoted glob',
    )
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument(
        '--labels',
        metavar='LIST',
        help='labels, separated by commas: "floor, chair=chair|armchair"',
    )
    labels.add_argument(
        '--labels-file',
        metavar='NAME|YAML',
        help='labels of a shipped file by its name (indoor, outdoor, navigation, '
        'ade20k, coco, coco_stuff, cityscapes, pascal_voc), or a file of yours',
    )
    parser.add_argument(
        '--no-other', action='store_true', help='give every pixel one of the labels'
    )
    parser.add_argument(
        '--topic',
        default='',
        help='image topic of the bags (default: the only one that is not depth)',
    )
    parser.add_argument(
        '--model',
        default='lseg-lite',
        help='name or path of a model (default: %(default)s); see lseg info',
    )
    parser.add_argument(
        '--output',
        metavar='DIR',
        type=Path,
        default=Path('lseg_output'),
        help='folder for the results (default: %(default)s)',
    )
    parser.add_argument(
        '--device',
        default='auto',
        help='cpu, cuda, cuda:1 ... (default: %(default)s, a GPU if there is one)',
    )
    parser.add_argument(
        '--backend',
        choices=('auto', 'torch', 'openvino', 'eager'),
        default='auto',
        help='what runs the network: the fastest here, as on a robot (auto), torch, openvino, or '
        'the network as written (eager) (default: %(default)s)',
    )
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.0,
        metavar='0..1',
        help='least confidence of a pixel (default: %(default)s)',
    )
    parser.add_argument(
        '--quality',
        choices=('fast', 'best'),
        default='fast',
        help="fast: one pass through the network; best: the authors' protocol of "
        'six scales, mirrored and in windows, about forty passes '
        '(default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Segment the inputs; return 1 when some could not be read, else 0."""
    labels = _labels(args)
    inputs = plan(args.inputs, args.output)

    from tqdm import tqdm

    from lseg_ros.core import open_segmenter
    from lseg_ros.media.segmenting import FileSegmenter

    segmenter = open_segmenter(
        args.model,
        device=args.device,
        backend=args.backend,
        quality=args.quality,
        progress=partial(tqdm, desc='windows', unit='window', leave=False, disable=None),
    )
    files = FileSegmenter(segmenter, labels, args.threshold, args.topic)
    _write_table(args.output, labels)
    failures = 0
    for item in tqdm(inputs, unit='file', disable=None):
        try:
            files.segment(item)
        except OSError as error:
            tqdm.write(f'lseg: skipped {item.path}: {error}', file=sys.stderr)
            failures += 1
    print(f'{len(inputs) - failures} of {_count(inputs)} segmented into {args.output}')
    return 1 if failures else 0


def _count(inputs: list[Input]) -> str:
    """Return how many inputs there are, in words: `3 images`, `2 files`."""
    kinds = {item.kind for item in inputs}
    name = kinds.pop().value if len(kinds) == 1 else 'file'
    return f'{len(inputs)} {name}s'


def _labels(args: argparse.Namespace) -> LabelSet:
    from lseg_ros.labels import LabelRegistry, read_label_file
    from lseg_ros.labels.syntax import split_labels

    registry = LabelRegistry(include_other=not args.no_other)
    if args.labels_file:
        file = read_label_file(args.labels_file)
        return registry.replace(file.labels, file.groups)
    return registry.replace(split_labels(args.labels))


def _write_table(output: Path, labels: LabelSet) -> None:
    output.mkdir(parents=True, exist_ok=True)
    table = {'classes': [asdict(label) for label in labels.classes], 'unlabelled': UNLABELLED}
    text = json.dumps(table, indent=2, ensure_ascii=False)
    (output / 'labels.json').write_text(text + '\n', encoding='utf-8')
