# SPDX-License-Identifier: Apache-2.0
"""``lseg segment``: segment images, videos and bags on disk."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lseg_ros.commands.label_options import add_label_options, chosen_labels
from lseg_ros.commands.model_options import add_model_options, add_output_option, open_chosen
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.inputs import Input, plan
from lseg_ros.number_options import SHARE
from lseg_ros.whole_files import is_disk_full, write_whole

if TYPE_CHECKING:
    from lseg_ros.core.segmenter import Segmenter
    from lseg_ros.media.segmenting import FileSegmenter
    from lseg_ros.sharing.tally import Counting
    from lseg_ros.sharing.workers import Workers

_PART = 'inputs'  # of the state of an interrupted run

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

Inputs that cannot be read are reported and skipped. Of a video or bag that is damaged or cut short, what
can be read is segmented, and reported. The exit status is then 1.

A run that was interrupted goes on where it stopped when the same command is run again; a video or
bag that was cut starts again. Several processes, on one machine or on several that see the same
folders, share the inputs, each with its own GPU:

  torchrun --nproc-per-node 4 -m lseg_ros.cli segment recordings/ --labels-file indoor
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
        type=SHARE,
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

    from lseg_ros.sharing.tally import Counting
    from lseg_ros.sharing.workers import workers

    with workers(args.device) as team:
        segmenter = _open_segmenter(args, team)
        counting = Counting(team, _unfinished(args.output), unit='file', protect=False)
        return _segment(args, segmenter, labels, inputs, counting)


def _open_segmenter(args: argparse.Namespace, team: Workers) -> Segmenter:
    import torch
    from tqdm import tqdm

    return open_chosen(
        args,
        device=args.device if team.count == 1 else team.device,
        # torchrun gives each of its processes a share of the cores.
        threads=0 if team.count == 1 else torch.get_num_threads(),
        quality=args.quality,
        progress=partial(tqdm, desc='windows', unit='window', leave=False, disable=None),
    )


def _segment(
    args: argparse.Namespace, segmenter: Segmenter, labels: LabelSet, inputs: list[Input], counting: Counting
) -> int:
    """Segment this process's share of the inputs; return the exit status."""
    from lseg_ros.media.segmenting import FileSegmenter

    files = _Files(FileSegmenter(segmenter, labels, args.threshold, args.topic))
    is_new = not args.output.exists()
    counting.workers.barrier()  # before one of the processes makes it
    if is_new:  # earlier results, if there were any, have been deleted
        counting.forget(_PART)
    if counting.workers.is_first:
        _write_table(args.output, labels)
    settings = {
        'model': f'{segmenter.model.name} {segmenter.model.digest()}',
        'labels': json.dumps([asdict(label) for label in labels.classes]),
        'options': f'threshold {args.threshold:g}, quality {args.quality}, topic {args.topic!r}',
    }
    try:
        done, partly = counting.run(_PART, inputs, files.segment, (2,), settings).sum(axis=0).tolist()
    except OSError as error:
        if not is_disk_full(error):
            raise
        done, partly = files.done.tolist()
    else:
        counting.finish()
    if counting.workers.is_first:
        print(f'{done} of {_count(inputs)} segmented into {args.output}{f", {partly} in part" if partly else ""}')
    return 0 if done == len(inputs) else 1


class _Files:
    """Segments files and reports those that cannot be read."""

    def __init__(self, segmenter: FileSegmenter) -> None:
        self._segmenter = segmenter
        self.done = np.zeros(2, np.int64)  # files, whole and in part

    def segment(self, item: Input) -> np.ndarray:
        """Return [1, 0], [0, 1] for a file that can be read in part only, or [0, 0].

        Raise OSError if the disk is full.
        """
        from tqdm import tqdm

        from lseg_ros.media.segmenting import PartlyRead

        result = np.zeros(2, np.int64)
        try:
            self._segmenter.segment(item)
            result[0] = 1
        except PartlyRead as error:
            tqdm.write(f'lseg: read part of {item.path}: {one_line(error)}', file=sys.stderr)
            result[1] = 1
        except OSError as error:
            tqdm.write(f'lseg: skipped {item.path}: {one_line(error)}', file=sys.stderr)
            if is_disk_full(error):
                raise
        self.done += result
        return result


def _unfinished(output: Path) -> Path:
    """Return the folder that says which inputs an interrupted run has done."""
    return output.with_name(f'{output.resolve().name}.unfinished')


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
