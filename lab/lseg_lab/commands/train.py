# SPDX-License-Identifier: Apache-2.0
"""`lseg train`: train a network with one of two recipes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_lab.commands import train_options, train_runs
from lseg_ros.number_options import whole

if TYPE_CHECKING:
    from lseg_lab.training.config import PaperConfig, TrainingConfig

HELP = 'train the small network, or any network by the recipe of the LSeg paper'
DESCRIPTION = """\
Train the image side of a network with LSeg's objective: the text encoder stays frozen, and the
embedding of each pixel is pulled towards the text of its label. There are two recipes:

  lite   trains the small network on rendered rooms: AdamW with a cosine schedule, a frozen or
         partly tuned encoder, strong augmentation, and a separate label set for each image.
  paper  is the recipe of LSeg's authors, for any network: stochastic gradient descent on the whole
         image side, ten times the rate for the decoder, a rate that falls with each epoch, random
         crops, and the same labels for every image. On pascal5i, coco20i and fss1000 it trains on
         zero-shot episodes ("others" against one class) without the classes of --fold.

--dataset says what --data contains:

  rooms     folders written by `lseg rooms` or `lseg annotate masks` (dataset.json, <id>.jpg,
            <id>.mask.png)
  folder    images with index masks next to them; --labels is a file that names the indices
  ade20k    ADEChallengeData2016
  pascal5i, coco20i, fss1000   HSNet's data folder, see `lseg evaluate --help`

--out receives weights.safetensors, best.safetensors (the best on --validate), log.jsonl and
state.pt. Run the same command again to resume an interrupted run exactly. With torchrun, the
recipe paper trains in several processes, one per GPU; --batch is then the batch of each process.

--epochs or --steps sets the length over which the learning rate falls. --stop-after ends the run
early without changing the schedule: the authors stop after 4 of 240 epochs on PASCAL-5i and
COCO-20i. To continue, run the same command without --stop-after, or with a later one.

examples:
  lseg rooms rooms_train --rooms 4000
  lseg train --data rooms_train --out runs/a --steps 6000
  lseg train --data rooms_train --out runs/a --validate rooms_test --every 1000
  lseg train --data rooms_train --photographs dataset --start lseg-lite --out runs/p \\
      --steps 1500 --learning-rate 5e-4
  lseg train --data rooms_train --out runs/b --validate photos --validate-labels names.txt
  lseg train --recipe paper --dataset folder --data photos --labels names.txt --out runs/c \\
      --epochs 40
  torchrun --nproc-per-node 8 -m lseg_ros.cli train --recipe paper --model lseg-vitl16 \\
      --dataset ade20k --data ADEChallengeData2016 --out runs/d --batch 4 --epochs 240 --every 5000
  lseg train --recipe paper --model lseg-rn101 --dataset pascal5i --data Datasets_HSN --fold 0 \\
      --out runs/fold0 --batch 20 --epochs 240 --stop-after 4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        '--recipe', choices=tuple(train_options.RECIPES), default='lite', help='see above (%(default)s)'
    )
    parser.add_argument('--out', type=Path, required=True, help='directory of the run, created if missing')
    _add_data(parser)
    _add_validation(parser)
    _add_model(parser)
    train_options.add_samples(parser)
    train_options.add_optimisation(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('data')
    group.add_argument('--data', type=Path, nargs='+', required=True, help='training data')
    group.add_argument(
        '--photographs',
        type=Path,
        nargs='+',
        help='lite: folders written by `lseg annotate masks`, mixed with the rooms of --data; '
        '--photograph-share of every batch',
    )
    group.add_argument('--dataset', choices=train_runs.DATASETS, default='rooms', help='kind of data (%(default)s)')
    group.add_argument('--labels', type=Path, help='folder: file with one label per mask index')
    group.add_argument('--masks', default='{stem}_mask.png', help='folder: file names of the masks (%(default)s)')
    group.add_argument(
        '--fold', type=int, choices=range(4), help='pascal5i, coco20i: fold whose classes are held out for testing'
    )


def _add_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('validation')
    group.add_argument('--validate', type=Path, help='folder to score whenever weights are saved')
    group.add_argument('--validate-labels', type=Path, help='its labels file; omit it for rooms')
    group.add_argument('--every', type=whole(1), default=500, help='number of steps between saves (%(default)s)')


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group('model')
    model.add_argument(
        '--model',
        default='lseg-lite',
        help='lseg-lite, lseg-vitl16, lseg-rn101 or lseg-vitb32, starting from ImageNet weights; '
        'timm downloads those of the last three (%(default)s)',
    )
    model.add_argument('--encoder', default='tf_efficientnet_lite0', help='image encoder of lseg-lite (%(default)s)')
    model.add_argument(
        '--width', type=whole(1, 1024), default=160, help='channels of the decoder of lseg-lite (%(default)s)'
    )
    model.add_argument(
        '--start',
        nargs='+',
        metavar='WEIGHTS',
        help='weights, or a model by name, to start from instead of --model; several are averaged',
    )
    model.add_argument(
        '--text-model',
        help="folder of MiniLM or OpenAI's CLIP file ViT-B-32.pt; by default the installed package "
        'or a download by open_clip',
    )
    model.add_argument(
        '--input-size',
        type=whole(1, 8192),
        help='short side, in pixels, that the model will use (lseg-lite: 240, others: 480)',
    )
    model.add_argument('--device', help='auto, cpu, cuda or cuda:N (lite: cpu; paper: auto)')


def run(args: argparse.Namespace) -> int:
    """Train to the end, or to --stop-after; return the exit status."""
    from lseg_ros.sharing.workers import workers

    train_options.resolve(args)
    with workers(args.device) as team:
        trainer = train_runs.open_run(args, team)
        last = _last_step(args, trainer.config)
        trainer.run(until=last, every=args.every, evaluate=train_runs.validation(args))
        if last < trainer.config.steps and team.is_first:
            print(
                f'stopped after step {trainer.step} of {trainer.config.steps}; to continue, run '
                'the same command without --stop-after or with a later one'
            )
    return 0


def _last_step(args: argparse.Namespace, config: TrainingConfig | PaperConfig) -> int:
    if args.stop_after is None:
        return config.steps
    return args.stop_after * (1 if args.steps else config.steps_per_epoch)
