# SPDX-License-Identifier: Apache-2.0
"""`lseg adapt`: teach a small network to see your building as a large one does, without labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from lseg_ros.commands.bag_options import add_bag_options
from lseg_ros.labels.files import shipped_label_files
from lseg_ros.mapping import ranges
from lseg_ros.number_options import SEED, NumberType, whole

HELP = 'teach a small network your building, from a large one and recordings, without labels'
DESCRIPTION = """\
Teach a small network, as fast as lseg-lite, to see your building as a large one does. Nobody
labels anything: the large network (the teacher) looks at your recordings, as they are and in
random crops. The small one (the student) looks at the same pictures and learns to reproduce the
embedding of every pixel, and how well it fits the words of the label files. Since the student
keeps the teacher's text encoder, it answers the teacher's words, including those nobody thought
of while it was trained.

  1. Record what the robot sees: drive through every room, at the height of its camera, by day and
     by night. A few hundred frames are a start; a few thousand are better.
  2. Run this command. It may be interrupted at any time; the same command continues it.
  3. Read the report. It compares both networks on frames that were held out: the last fifth of
     each camera, and all of the cameras given with --left-out. If these have depth and poses, as
     in a bag with tf, it also says how well both networks find the ground, and whether they call
     a place the same twice.
  4. Use the result: model: mine.safetensors in the node, or --model in every command.

The student learns the teacher's answers, right or wrong, and only for what is in the recordings.
Elsewhere it may be worse than lseg-lite. A high agreement does not make it right: look at the
teacher's answers too (lseg segment --model TEACHER), or score both with lseg evaluate.

Beside OUT, a working folder OUT.adapt (see --work) contains

  embeddings/   views of the frames and the teacher's embeddings in half precision: about 12 MB a
                frame, which you may delete in the end
  run/          the state of the training and its log
  report/       report.txt and report.json, and pictures of the frames on which both differ most:
                the frame, the differences in magenta, the teacher's answers, the student's

examples:
  lseg adapt --teacher lseg-vitl16 --images recordings/ --out mine.safetensors
  lseg adapt --teacher tipsv2-l14 --images run1.mp4 run2.mp4 --left-out run3.mp4 \\
      --labels-file my_labels.yaml --out mine.safetensors
  lseg adapt --teacher tipsv2-b14 --images rosbag2_2026_01_01/ --topic /front/image /left/image \\
      --out mine.safetensors
  lseg adapt --teacher tipsv2-b14 --images recordings/ --masks dataset --out mine.safetensors
  lseg adapt --teacher lseg-lite --images drive drive/left --left-out drive/rear --out try.safetensors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--teacher', required=True, metavar='NAME|FILE', help='model to learn from, see lseg info')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='safetensors file to write')
    parser.add_argument('--work', type=Path, metavar='FOLDER', help='working folder (OUT.adapt)')
    _add_images(parser)
    add_bag_options(parser.add_argument_group('bags'))
    _add_labels(parser)
    _add_student(parser)
    _add_training(parser)


def _add_images(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('images')
    group.add_argument(
        '--images',
        nargs='+',
        required=True,
        metavar='INPUT',
        help='folders of images (each folder is a camera; searched recursively), videos and bags, or cameras of the '
        'recorded drive: drive, drive/left, drive/rear',
    )
    group.add_argument(
        '--left-out', nargs='+', default=[], metavar='INPUT', help='cameras to use for the report only, as in --images'
    )
    group.add_argument(
        '--frames',
        type=whole(1),
        default=1000,
        help='number of frames to use, evenly spread over all cameras (%(default)s)',
    )
    group.add_argument(
        '--views',
        type=whole(1),
        default=8,
        help='number of views of each frame to learn from: the frame and random crops of it (%(default)s)',
    )
    group.add_argument(
        '--masks', type=Path, nargs='+', help='folders written by `lseg annotate masks`: labelled frames to mix in'
    )
    group.add_argument(
        '--mask-share',
        type=NumberType(above=0, below=1),
        default=0.25,
        help='share of the samples that come from --masks (%(default)s)',
    )


def _add_labels(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('report')
    group.add_argument(
        '--labels-file',
        default='indoor',
        metavar='NAME|YAML',
        help='labels by which the answers are compared. One that is shipped '
        f'({", ".join(shipped_label_files())}), or the path of your own (%(default)s)',
    )
    group.add_argument(
        '--floor-height',
        type=NumberType(*ranges.FLOOR_HEIGHT),
        default=0.0,
        metavar='METRES',
        help='height of the floor in the frame of the poses, for images with depth and poses (%(default)s)',
    )


def _add_student(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('student')
    group.add_argument('--encoder', default='tf_efficientnet_lite0', help='image encoder (%(default)s)')
    group.add_argument('--width', type=whole(1, 1024), default=160, help='channels of the decoder (%(default)s)')
    group.add_argument(
        '--input-size',
        type=whole(32, 8192),
        default=256,
        help='short side, in pixels, that images are reduced to (%(default)s)',
    )
    group.add_argument(
        '--words',
        nargs='*',
        metavar='NAME|YAML',
        help="store the vectors of known words in OUT instead of the teacher's text encoder: those of the shipped "
        'label files, of --labels-file, and of the label files given here. The file is small, and refuses other words',
    )
    group.add_argument('--text-model', help="folder of the teacher's text encoder, if it has a file of its own")
    group.add_argument('--device', default='auto', help='cpu, cuda, cuda:1 ...; auto: a GPU if there is one')


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('training')
    for option, kind, default, help_text in (
        ('steps', whole(1), 2000, 'number of optimiser steps'),
        ('batch', whole(1), 8, 'images per step'),
        ('learning-rate', NumberType(above=0), 2e-3, 'for the decoder'),
        ('encoder-learning-rate', NumberType(0), 0.0, "for the encoder's later stages; 0 freezes it"),
        ('every', whole(1), 250, 'number of steps between saves'),
        ('workers', whole(0), 1, 'processes that load and augment images'),
        ('seed', SEED, 0, 'seed of all random numbers'),
    ):
        group.add_argument(f'--{option}', type=kind, default=default, help=f'{help_text} (%(default)s)')
    group.add_argument(
        '--crop', type=whole(1), nargs=2, metavar=('H', 'W'), help='size of a view in pixels (that of a whole frame)'
    )


def run(args: argparse.Namespace) -> int:
    """Compute embeddings, train and report; return the exit status."""
    from lseg_lab.commands import adapt_run

    work = args.work or args.out.with_suffix('.adapt')
    if args.out.exists() and not work.exists():
        raise ValueError(f'{args.out} already exists: remove it or choose another name')
    labels = adapt_run.label_set(args.labels_file)
    teacher, frames = adapt_run.embed(args, work)
    trainer = adapt_run.open_run(args, work, teacher, frames)
    trainer.run(every=args.every)
    adapt_run.write_student(args, trainer)
    print(adapt_run.report(args, work, teacher, frames, labels))
    print(f'{args.out}: {args.out.stat().st_size:,} bytes; pictures and report in {work / "report"}')
    print(f'{work / "embeddings"} can be deleted, unless you want to train again')
    return 0
