# SPDX-License-Identifier: Apache-2.0
"""`lseg train`: train the small model on rooms."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

HELP = 'train the small model on rooms'
DESCRIPTION = """\
Trains an image encoder's decoder with LSeg's objective: the text encoder stays frozen, each image
is asked a label set of its own, and each pixel's embedding is drawn to the text of a right label.
Data are folders as `lseg rooms` writes them (dataset.json, <id>.jpg, <id>.mask.png); a folder of
your own in that layout serves as well.

OUT receives weights.safetensors (averaged weights), best.safetensors (the best on --validate),
log.jsonl, and state.pt: the same command again goes on exactly where it was interrupted.

examples:
  lseg rooms rooms_train --rooms 4000
  lseg train --data rooms_train --out runs/a --steps 6000
  lseg train --data rooms_train --out runs/a --validate rooms_test --every 1000
  lseg train --data rooms_train --out runs/b --validate photos --validate-labels names.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--data', type=Path, nargs='+', required=True, help='training folders')
    parser.add_argument('--out', type=Path, required=True, help='directory of the run')
    _add_validation(parser)
    model = parser.add_argument_group('model')
    model.add_argument('--encoder', default='tf_efficientnet_lite0', help='(%(default)s)')
    model.add_argument('--width', type=int, default=160, help='of the decoder (%(default)s)')
    model.add_argument(
        '--start',
        nargs='+',
        help="weights to start from, the mean of several, rather than ImageNet's encoder",
    )
    model.add_argument(
        '--input-size', type=int, default=240, help='short side used later (%(default)s)'
    )
    data = parser.add_argument_group('samples')
    data.add_argument('--vocabulary', type=Path, help="vocabulary file; the package's by default")
    data.add_argument('--crop', type=int, nargs=2, default=(224, 288), metavar=('H', 'W'))
    data.add_argument('--zoom', type=float, nargs=2, default=(0.65, 1.4), metavar=('FROM', 'TO'))
    data.add_argument('--coarse', type=float, default=0.25, help='share of coarse label sets')
    data.add_argument('--balance', type=float, default=0.6, help='share of samples drawn by class')
    data.add_argument('--recolour', type=float, default=0.35, help='share with recoloured regions')
    data.add_argument('--class-weighting', type=float, default=0.35, help='0 weighs all the same')
    _add_optimisation(parser)


def _add_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('validation')
    group.add_argument('--validate', type=Path, help='folder to score at each save')
    group.add_argument('--validate-labels', type=Path, help='its names file; none if it is rooms')
    group.add_argument('--every', type=int, default=500, help='steps between saves (%(default)s)')


def _add_optimisation(parser: argparse.ArgumentParser) -> None:
    from lseg_ros.training.config import TrainingConfig

    group = parser.add_argument_group('optimisation')
    for option, help_text in (
        ('steps', 'of the optimiser'),
        ('batch', 'images in a step'),
        ('learning-rate', 'of the decoder'),
        ('encoder-learning-rate', "of the encoder's later stages; 0 keeps it frozen"),
        ('weight-decay', 'of AdamW'),
        ('warm-up', 'steps until the full learning rate'),
        ('average-decay', "of the weights' moving average"),
        ('style-probability', 'of randomised feature statistics'),
        ('style-strength', 'of that'),
        ('level-dropout', "of an image's finest feature levels"),
        ('workers', 'processes that load and augment'),
        ('seed', 'of everything random'),
    ):
        default = getattr(TrainingConfig, option.replace('-', '_'))
        group.add_argument(
            f'--{option}', type=type(default), default=default, help=f'{help_text} (%(default)s)'
        )


def run(args: argparse.Namespace) -> int:
    """Train to the end; the exit status."""
    from lseg_ros.training.dataset import SampleStream, class_shares, open_folders
    from lseg_ros.training.objective import class_weights
    from lseg_ros.training.questions import QuestionSampler
    from lseg_ros.training.trainer import Trainer
    from lseg_ros.training.vocabulary import load_vocabulary

    vocabulary = load_vocabulary(args.vocabulary)
    folder = open_folders(args.data)
    shares = class_shares(folder)
    samples = SampleStream(
        folder,
        QuestionSampler(vocabulary, folder.classes, coarse=args.coarse),
        shares,
        crop=tuple(args.crop),
        zoom=tuple(args.zoom),
        balance=args.balance,
        recolour=args.recolour,
        seed=args.seed,
    )
    weights = class_weights(shares, args.class_weighting, (0.25, 4.0))
    trainer = Trainer(_model(args), samples, weights, _config(args), args.out)
    trainer.run(every=args.every, evaluate=_validation(args, vocabulary))
    return 0


def _model(args: argparse.Namespace):
    import dataclasses

    from lseg_ros.model import build_lite, load
    from lseg_ros.training.averaging import mean_state

    model = build_lite(args.encoder, width=args.width, pretrained=not args.start)
    if args.start:
        model.load_image_state_dict(mean_state([load(f).image_state_dict() for f in args.start]))
    model.config = dataclasses.replace(model.config, input_size=args.input_size)
    return model


def _config(args: argparse.Namespace):
    import dataclasses

    from lseg_ros.training.config import TrainingConfig

    fields = dataclasses.fields(TrainingConfig)
    return TrainingConfig(**{field.name: getattr(args, field.name) for field in fields})


def _validation(args: argparse.Namespace, vocabulary) -> Callable[..., Mapping[str, float]] | None:
    """The function that scores a model at each save."""
    from lseg_ros.evaluation.folder import open_folder, read_names
    from lseg_ros.evaluation.rooms import ROBOT_LABELS, room_examples
    from lseg_ros.evaluation.score import score
    from lseg_ros.segmenter import Segmenter
    from lseg_ros.training.dataset import open_folders

    if args.validate is None:
        return None
    if args.validate_labels:
        labels, examples = read_names(args.validate_labels), open_folder(args.validate)
    else:
        labels = ROBOT_LABELS
        examples = room_examples(open_folders([args.validate]), vocabulary, labels, 100)
    return lambda model: score(Segmenter(model), labels, examples).summary()
