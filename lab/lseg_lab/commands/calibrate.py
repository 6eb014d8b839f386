# SPDX-License-Identifier: Apache-2.0
"""`lseg calibrate`: fit a model's confidence to labelled images."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros.number_options import whole

if TYPE_CHECKING:
    from lseg_lab.evaluation.folder import MaskedFolder
    from lseg_ros.core.segmenter import Segmenter

HELP = "fit a model's confidence to labelled images"
DESCRIPTION = """\
Choose the calibration with which the confidence is closest to how often the model is right, and
write the model with it to a new file. The answers stay the same; only the confidence in them
changes. Do this before you rely on confidence_threshold with a model whose confidence was never
fitted: lseg info says so.

The images are like those of lseg evaluate --dataset folder: index masks next to them, and --labels,
a file with one label per mask index. A few dozen images are enough, but they should show what
the robot will see, and the labels should be those that it will ask for. Every second image is used
to fit; the expected calibration error before and after is of the others.

examples:
  lseg calibrate tipsv2-b14 mine.safetensors --root photos --labels names.txt
  lseg calibrate weights.safetensors mine.safetensors --root photos --labels names.txt --other
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('source', metavar='MODEL', help='name of a model, or its weights')
    parser.add_argument('target', type=Path, metavar='OUT', help='safetensors file to write')
    parser.add_argument('--root', type=Path, required=True, help='folder of images with index masks')
    parser.add_argument('--labels', type=Path, required=True, help='file with one label per mask index')
    parser.add_argument('--masks', default='{stem}_mask.png', help='file names of the masks (%(default)s)')
    parser.add_argument('--other', action='store_true', help="also ask for 'other', as the node does by default")
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:1; auto: a GPU if there is one')
    parser.add_argument(
        '--input-size',
        type=whole(0, 8192),
        help="short side, in pixels, to which images are reduced; 0: not reduced (the model's own)",
    )


def run(args: argparse.Namespace) -> int:
    """Fit, print the errors and write the model; return the exit status."""
    if args.target.exists():
        raise ValueError(f'{args.target} already exists: remove it or choose another name')
    from lseg_lab.evaluation.calibration import fit_calibration
    from lseg_lab.evaluation.folder import open_folder, read_labels
    from lseg_ros.core.factory import open_segmenter

    folder, labels = open_folder(args.root, args.masks), read_labels(args.labels)
    segmenter = open_segmenter(args.source, device=args.device, input_size=args.input_size)
    fitting, held_back = (dataclasses.replace(folder, pairs=folder.pairs[start::2]) for start in (0, 1))
    before = _error(segmenter, labels, held_back, args.other)
    model = segmenter.model
    calibration = fit_calibration(segmenter, labels, fitting, other=args.other)
    model.config = dataclasses.replace(model.config, calibration=calibration)
    after = _error(segmenter, labels, held_back, args.other)
    _write(args.source, args.target, calibration)
    print(f'calibration {calibration:.3f}, fitted to {len(fitting)} images, written to {args.target}')
    if len(held_back):
        print(f'expected calibration error on {len(held_back)} others: {before:.3f} before, {after:.3f} after')
    return 0


def _error(segmenter: Segmenter, labels: list[str], examples: MaskedFolder, other: bool) -> float:
    from lseg_lab.evaluation.score import score

    return score(segmenter, labels, examples, other=other).reliability.expected_calibration_error


def _write(source: str, target: Path, calibration: float) -> None:
    """Copy the weights as they are, with another calibration."""
    from lseg_ros.model import checkpoint, outline

    with outline(source) as (model, stored):
        model.config = dataclasses.replace(model.config, calibration=calibration)
        checkpoint.convert(model, stored, target)
