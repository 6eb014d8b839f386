# SPDX-License-Identifier: Apache-2.0
"""`lseg evaluate`: score a model on labelled images."""
from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

HELP = 'score a model on labelled images'
DESCRIPTION = """\
Scores a model through the code that the node runs: mIoU over the classes present (pixels pooled
over all images), pixel accuracy, IoU of each class, expected calibration error of the confidence.

  folder  images with index masks beside them, and a file that names the indices, one a line:
          `name` or `name=prompt|prompt`. Mask value 255 is not counted.
  rooms   what `lseg rooms` writes: all classes, twenty robot labels, synonyms that training never
          used beside the trained names, and classes that training left out.

examples:
  lseg evaluate --dataset folder --root photos --labels names.txt
  lseg evaluate --dataset folder --root photos --masks '{stem}_labels.png' --labels names.txt
  lseg evaluate --dataset rooms --root rooms_test --model runs/a/weights.safetensors --json a.json
  lseg evaluate --dataset rooms --root rooms_test --model runs/a/weights.safetensors \\
      --calibrate lseg-lite.safetensors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--dataset', choices=('folder', 'rooms'), required=True)
    parser.add_argument('--root', type=Path, required=True, help="the data set's directory")
    parser.add_argument('--model', default='lseg-lite', help="a model's name or weights")
    parser.add_argument('--labels', type=Path, help='folder: file that names the mask indices')
    parser.add_argument(
        '--masks', default='{stem}_mask.png', help="folder: the masks' names (%(default)s)"
    )
    parser.add_argument('--other', action='store_true', help="folder: ask 'other' as well")
    parser.add_argument('--vocabulary', type=Path, help='rooms: vocabulary file of the training')
    parser.add_argument('--limit', type=int, default=400, help='rooms: images (%(default)s)')
    parser.add_argument(
        '--input-size',
        type=int,
        help="short side in pixels at which images are segmented; the model's own by default",
    )
    parser.add_argument('--json', type=Path, help='write all numbers to this file')
    parser.add_argument(
        '--calibrate',
        type=Path,
        metavar='FILE',
        help='rooms: fit the confidence on every second image, score on the others, and write '
        'the model with its calibration to FILE',
    )
    parser.add_argument('--device', default='cpu', help='cpu or cuda (%(default)s)')


def run(args: argparse.Namespace) -> int:
    """Print the table; the exit status."""
    from lseg_ros.evaluation.report import table, write_json
    from lseg_ros.model import load
    from lseg_ros.segmenter import Segmenter

    model = load(args.model, args.device)
    if args.input_size is not None:
        model.config = dataclasses.replace(model.config, input_size=args.input_size)
    segmenter = Segmenter(model)
    scores = _folder(segmenter, args) if args.dataset == 'folder' else _rooms(segmenter, args)
    print(table(scores))
    if args.json:
        write_json(scores, args.json)
    return 0


def _folder(segmenter, args: argparse.Namespace) -> dict:
    from lseg_ros.evaluation.folder import open_folder, read_names
    from lseg_ros.evaluation.score import score

    if args.labels is None:
        raise ValueError('--dataset folder needs --labels FILE, which names the mask indices')
    examples = open_folder(args.root, args.masks)
    return {args.root.name: score(segmenter, read_names(args.labels), examples, other=args.other)}


def _rooms(segmenter, args: argparse.Namespace) -> dict:
    from lseg_ros.evaluation.rooms import score_rooms
    from lseg_ros.training.dataset import open_folders
    from lseg_ros.training.vocabulary import load_vocabulary

    folder, vocabulary = open_folders([args.root]), load_vocabulary(args.vocabulary)
    if args.calibrate:
        fitting = dataclasses.replace(folder, pairs=folder.pairs[::2])
        folder = dataclasses.replace(folder, pairs=folder.pairs[1::2])
        _calibrate(segmenter.model, fitting, vocabulary, args)
    return score_rooms(segmenter, folder, vocabulary, args.limit)


def _calibrate(model, folder, vocabulary, args: argparse.Namespace) -> None:
    from lseg_ros.evaluation.calibration import fit_calibration
    from lseg_ros.evaluation.rooms import ROBOT_LABELS, room_examples
    from lseg_ros.model import save

    examples = room_examples(folder, vocabulary, ROBOT_LABELS, args.limit)
    calibration = fit_calibration(model, ROBOT_LABELS, examples)
    model.config = dataclasses.replace(model.config, calibration=calibration)
    save(model, args.calibrate)
    print(f'calibration {calibration:.3f}, written to {args.calibrate}')
