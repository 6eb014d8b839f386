# SPDX-License-Identifier: Apache-2.0
"""`lseg annotate`: label photographs by hand for training."""

from __future__ import annotations

import argparse
from pathlib import Path

from lseg_ros.number_options import whole

HELP = 'label photographs by hand for training'
DESCRIPTION = """\
Turn your own photographs into training data. Labels are polygons in LabelMe's JSON files; draw and
correct them in LabelMe (pip install labelme). Later shapes cover earlier ones; 'void' marks areas
that should stay unlabelled, like those without any shape. There are three steps:

  draft PHOTOS OUT         write a first file for each photograph from the model's prediction and,
                           if you have them, boxes. Existing files are not changed.
  show LABELS PHOTOS OUT   draw labels and their names over the photographs, for checking
  masks LABELS PHOTOS OUT  write a folder that `lseg train` reads

examples:
  lseg annotate draft photos labels --boxes photos/boxes.tsv
  labelme photos --output labels --nodata
  lseg annotate show labels photos check
  lseg annotate masks labels photos dataset
  lseg train --data rooms_train --photographs dataset --start lseg-lite --out runs/photos
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the three steps."""
    steps = parser.add_subparsers(dest='step', required=True, metavar='STEP')
    draft = steps.add_parser('draft', help="write a first file from the model's prediction")
    draft.add_argument('photos', type=Path, metavar='PHOTOS', help='folder of photographs')
    draft.add_argument('out', type=Path, metavar='OUT', help='folder to write LabelMe files to')
    draft.add_argument('--model', default='lseg-lite', help="a model's name or weights")
    draft.add_argument('--labels', nargs='+', metavar='NAME', help='labels to ask for (common indoor labels)')
    draft.add_argument('--boxes', type=Path, help='tab-separated table of boxes: file, class, left, top, right, bottom')
    for name, text in (('show', 'draw labels over photographs'), ('masks', 'write training data')):
        step = steps.add_parser(name, help=text)
        step.add_argument('labels', type=Path, metavar='LABELS', help='folder of LabelMe files')
        step.add_argument('photos', type=Path, metavar='PHOTOS', help='folder of photographs')
        step.add_argument('out', type=Path, metavar='OUT', help='folder to write to')
        step.add_argument(
            '--snap',
            type=whole(0, 100),
            default=0,
            metavar='PIXELS',
            help='move borders by up to this distance to edges in the photograph (%(default)s)',
        )


def run(args: argparse.Namespace) -> int:
    """Run the step; return the exit status."""
    return {'draft': _draft, 'show': _show, 'masks': _masks}[args.step](args)


def _draft(args: argparse.Namespace) -> int:
    from lseg_lab.annotation.draft import DRAFT_LABELS, read_boxes, write_drafts
    from lseg_ros.core.factory import open_segmenter
    from lseg_ros.media.inputs import IMAGE_SUFFIXES

    boxes = read_boxes(args.boxes) if args.boxes else None
    photos = sorted(p for p in args.photos.glob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    if not photos:
        raise FileNotFoundError(f'{args.photos} contains no images')
    segmenter = open_segmenter(args.model, device='cpu')
    count = write_drafts(photos, args.out, segmenter, args.labels or DRAFT_LABELS, boxes)
    print(f'{count} drafts written to {args.out}, {len(photos) - count} existing files unchanged')
    return 0


def _show(args: argparse.Namespace) -> int:
    from lseg_lab.annotation.show import draw_annotations

    count = draw_annotations(args.labels, args.photos, args.out, args.snap)
    print(f'{count} pictures in {args.out}')
    return 0


def _masks(args: argparse.Namespace) -> int:
    from lseg_lab.annotation.masks import write_masks

    pixels = write_masks(args.labels, args.photos, args.out, args.snap)
    for name, counts in sorted(pixels.items(), key=lambda item: -item[1].sum()):
        print(f'{name:20} {counts.sum():10} pixels in {(counts > 0).sum():4} photographs')
    return 0
