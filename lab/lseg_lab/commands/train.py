# SPDX-License-Identifier: Apache-2.0
"""`lseg train`: train a network by one of two recipes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_lab.commands import train_options, train_runs

if TYPE_CHECKING:
    from lseg_lab.training.config import PaperConfig, TrainingConfig

HELP = 'train a network: the small one, or by the recipe of the paper'
DESCRIPTION = """\
Trains the image side of a network with LSeg's objective: the text encoder stays frozen, and each
pixel's embedding is drawn to the text of its label. Two recipes:

  lite   AdamW along a cosine on a frozen or late-tuned encoder, strong augmentation, and a label
         set of its own for each image. For the small network and rendered rooms.
  paper  that of LSeg's authors: stochastic gradient descent on the whole image side, ten times
         the rate for the decoder, a rate that falls with the epochs, random crops, and the same
         labels for every image. With pascal5i, coco20i and fss1000 it trains zero-shot
         episodes: "others" against a class, without the classes of --fold.

Data:
  rooms     folders as `lseg rooms` writes them (dataset.json, <id>.jpg, <id>.mask.png)
  folder    images with index masks beside them, and a file that names the indices, --labels
  ade20k    ADEChallengeData2016
  pascal5i  coco20i  fss1000   HSNet's data folder, as for `lseg evaluate`

OUT receives weights.safetensors, best.safetensors (the best on --validate), log.jsonl, and
state.pt: the same command again goes on exactly where it was interrupted. torchrun trains the
recipe paper in several processes, on each GPU one; --batch is that of one process.

--epochs and --steps say along how many the learning rate falls; --stop-after ends the run earlier
without changing that. The authors end zero-shot training on PASCAL-5i and COCO-20i so, after four
epochs of the whole schedule. Without --stop-after, or with a later one, the same command goes on.

examples:
  lseg rooms rooms_train --rooms 4000
  lseg train --data rooms_train --out runs/a --steps 6000
  lseg train --data rooms_train --out runs/a --validate rooms_test --every 1000
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
        '--recipe', choices=tuple(train_options.RECIPES), default='lite', help='(%(default)s)'
    )
    parser.add_argument('--out', type=Path, required=True, help='directory of the run')
    _add_data(parser)
    _add_validation(parser)
    _add_model(parser)
    train_options.add_samples(parser)
    train_options.add_optimisation(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('data')
    group.add_argument('--data', type=Path, nargs='+', required=True, help='training folders')
    group.add_argument(
        '--dataset', choices=train_runs.DATASETS, default='rooms', help='(%(default)s)'
    )
    group.add_argument('--labels', type=Path, help='folder: file that names the mask indices')
    group.add_argument(
        '--masks', default='{stem}_mask.png', help="folder: the masks' names (%(default)s)"
    )
    group.add_argument(
        '--fold', type=int, choices=range(4), help='pascal5i, coco20i: kept for the test'
    )


def _add_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('validation')
    group.add_argument('--validate', type=Path, help='folder to score at each save')
    group.add_argument('--validate-labels', type=Path, help='its names file; none if it is rooms')
    group.add_argument('--every', type=int, default=500, help='steps between saves (%(default)s)')


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group('model')
    model.add_argument(
        '--model',
        default='lseg-lite',
        help='lseg-lite, lseg-vitl16, lseg-rn101 or lseg-vitb32,'
        " with ImageNet's encoder, which timm downloads for the last three (%(default)s)",
    )
    model.add_argument(
        '--encoder', default='tf_efficientnet_lite0', help='of lseg-lite (%(default)s)'
    )
    model.add_argument(
        '--width', type=int, default=160, help='of the decoder of lseg-lite (%(default)s)'
    )
    model.add_argument(
        '--start', nargs='+', help='weights to start from, the mean of several, in place of --model'
    )
    model.add_argument(
        '--text-model',
        help="folder of MiniLM, or file of OpenAI's CLIP, ViT-B-32.pt; without "
        'it the installed package, or what open_clip downloads',
    )
    model.add_argument(
        '--input-size', type=int, help='short side used later (lseg-lite: 240, the others: 480)'
    )
    model.add_argument('--device', help='auto, cpu, cuda or cuda:N (lite: cpu; paper: auto)')


def run(args: argparse.Namespace) -> int:
    """Train to the end, or to where --stop-after says; the exit status."""
    from lseg_lab.distributed import workers

    train_options.resolve(args)
    with workers(args.device) as team:
        trainer = train_runs.open_run(args, team)
        last = _last_step(args, trainer.config)
        trainer.run(until=last, every=args.every, evaluate=train_runs.validation(args))
        if last < trainer.config.steps and team.is_first:
            print(
                f'stopped after step {trainer.step} of {trainer.config.steps}; the same command '
                'without --stop-after, or with a later one, goes on'
            )
    return 0


def _last_step(args: argparse.Namespace, config: TrainingConfig | PaperConfig) -> int:
    if args.stop_after is None:
        return config.steps
    return args.stop_after * (1 if args.steps else config.steps_per_epoch)
