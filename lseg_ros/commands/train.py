# SPDX-License-Identifier: Apache-2.0
"""`lseg train`: train a network by one of two recipes."""
from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lseg_ros.distributed import Workers
    from lseg_ros.evaluation.episodes import Benchmark
    from lseg_ros.model import LSeg
    from lseg_ros.training.dataset import LabelledFolder
    from lseg_ros.training.trainer import Trainer

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
      --out runs/fold0 --batch 20 --epochs 4
"""
EPISODES = ('pascal5i', 'coco20i', 'fss1000')
DATASETS = ('rooms', 'folder', 'ade20k', *EPISODES)
# What a recipe takes beside the fields of its config, with its defaults.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    'lite': {
        'device': 'cpu', 'crop': (224, 288), 'zoom': (0.65, 1.4), 'coarse': 0.25,
        'balance': 0.6, 'recolour': 0.35, 'class_weighting': 0.35,
    },
    'paper': {'device': 'auto', 'crop': (480, 480), 'base': 520, 'epochs': 240},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--recipe', choices=tuple(RECIPES), default='lite', help='(%(default)s)')
    parser.add_argument('--out', type=Path, required=True, help='directory of the run')
    _add_data(parser)
    _add_validation(parser)
    model = parser.add_argument_group('model')
    model.add_argument(
        '--model', default='lseg-lite', help='lseg-lite, lseg-vitl16, lseg-rn101 or lseg-vitb32,'
        " with ImageNet's encoder, which timm downloads for the last three (%(default)s)"
    )
    model.add_argument('--encoder', default='tf_efficientnet_lite0',
                       help='of lseg-lite (%(default)s)')
    model.add_argument('--width', type=int, default=160,
                       help='of the decoder of lseg-lite (%(default)s)')
    model.add_argument(
        '--start',
        nargs='+',
        help='weights to start from, the mean of several, in place of --model',
    )
    model.add_argument(
        '--text-model', help="folder of MiniLM, or file of OpenAI's CLIP, ViT-B-32.pt; without "
        'it the installed package, or what open_clip downloads',
    )
    model.add_argument(
        '--input-size', type=int,
        help='short side used later (lseg-lite: 240, the others: 480)',
    )
    model.add_argument('--device', help='auto, cpu, cuda or cuda:N (lite: cpu; paper: auto)')
    _add_samples(parser)
    _add_optimisation(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('data')
    group.add_argument('--data', type=Path, nargs='+', required=True, help='training folders')
    group.add_argument('--dataset', choices=DATASETS, default='rooms', help='(%(default)s)')
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


def _add_samples(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('samples')
    group.add_argument('--vocabulary', type=Path, help="vocabulary file; the package's by default")
    for option, kind, count, help_text in (
        ('crop', int, 2, 'height and width of a sample'),
        ('zoom', float, 2, 'range of the random zoom'),
        ('coarse', float, None, 'share of coarse label sets'),
        ('balance', float, None, 'share of samples drawn by class'),
        ('recolour', float, None, 'share with recoloured regions'),
        ('class-weighting', float, None, '0 weighs all the same'),
        ('base', int, None, 'long side of an image, before a random zoom of 0.5 to 2'),
    ):
        metavar = {'crop': ('H', 'W'), 'zoom': ('FROM', 'TO')}.get(option)
        group.add_argument(f'--{option}', type=kind, nargs=count, metavar=metavar,
                           help=f'{help_text} ({_defaults_text(option)})')


def _add_optimisation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('optimisation')
    for option, kind, help_text in (
        ('steps', int, 'of the optimiser; paper: in place of --epochs'),
        ('epochs', int, 'passes over the data'),
        ('batch', int, 'images, or episodes, that a process takes at once'),
        ('accumulate', int, 'batches that make one step'),
        ('learning-rate', float, 'lite: of the decoder; paper: of the encoder, for a batch of 16'),
        ('encoder-learning-rate', float, "of the encoder's later stages; 0 keeps it frozen"),
        ('decoder-factor', float, "how much higher the decoder's is"),
        ('momentum', float, 'of stochastic gradient descent'),
        ('weight-decay', float, 'of what is trained'),
        ('power', float, 'of the polynomial that the learning rate falls along'),
        ('warm-up', int, 'steps until the full learning rate'),
        ('average-decay', float, "of the weights' moving average"),
        ('style-probability', float, 'of randomised feature statistics'),
        ('style-strength', float, 'of that'),
        ('level-dropout', float, "of an image's finest feature levels"),
        ('workers', int, 'processes that load and augment'),
        ('seed', int, 'of everything random'),
    ):
        group.add_argument(
            f'--{option}', type=kind, help=f'{help_text} ({_defaults_text(option)})'
        )
    group.add_argument('--bfloat16', action='store_true', default=None,
                       help='paper: compute encoder and decoder in bfloat16')


def run(args: argparse.Namespace) -> int:
    """Train to the end; the exit status."""
    from lseg_ros.distributed import workers

    _resolve(args)
    with workers(args.device) as team:
        trainer = {'lite': _lite, 'paper': _paper}[args.recipe](args, team)
        trainer.run(every=args.every, evaluate=_validation(args))
    return 0


def _defaults(recipe: str) -> dict[str, Any]:
    """The options that a recipe takes, with their defaults; None where data decides."""
    from lseg_ros.training.config import PaperConfig, TrainingConfig

    config = {'lite': TrainingConfig, 'paper': PaperConfig}[recipe]
    fields = {field.name: field.default for field in dataclasses.fields(config)}
    if recipe == 'paper':
        fields |= {'steps': None}
        del fields['steps_per_epoch'], fields['processes']
    return {**fields, **RECIPES[recipe]}


def _defaults_text(option: str) -> str:
    name, texts = option.replace('-', '_'), []
    for recipe in RECIPES:
        value = _defaults(recipe).get(name)
        if value is not None:
            shown = ' '.join(map(str, value)) if isinstance(value, tuple) else value
            texts.append(f'{recipe}: {shown}')
    return '; '.join(texts)


def _resolve(args: argparse.Namespace) -> None:
    """Fill in the recipe's defaults; raises ValueError for an option that it does not take."""
    defaults = _defaults(args.recipe)
    for name in {name for recipe in RECIPES for name in _defaults(recipe)}:
        if getattr(args, name) is None:
            setattr(args, name, defaults.get(name))
        elif name not in defaults:
            option = name.replace('_', '-')
            raise ValueError(f'--{option} is not an option of the recipe {args.recipe}')


def _lite(args: argparse.Namespace, team: Workers) -> Trainer:
    from lseg_ros.model.backbones import EFFICIENTNET_LITE
    from lseg_ros.training.config import TrainingConfig
    from lseg_ros.training.dataset import SampleStream, class_shares
    from lseg_ros.training.lite import LiteRecipe
    from lseg_ros.training.objective import class_weights
    from lseg_ros.training.questions import QuestionSampler
    from lseg_ros.training.trainer import Trainer
    from lseg_ros.training.vocabulary import load_vocabulary

    if team.count > 1:
        raise ValueError('the recipe lite trains in one process: start it without torchrun')
    if args.dataset in EPISODES:
        raise ValueError(f'{args.dataset} is zero-shot episodes: use --recipe paper')
    folder = _open_folder(args)
    shares = class_shares(folder)
    samples = SampleStream(
        folder,
        QuestionSampler(load_vocabulary(args.vocabulary), folder.classes, coarse=args.coarse),
        shares,
        crop=tuple(args.crop),
        zoom=tuple(args.zoom),
        balance=args.balance,
        recolour=args.recolour,
        seed=args.seed,
    )
    weights = class_weights(shares, args.class_weighting, (0.25, 4.0))
    fields = dataclasses.fields(TrainingConfig)
    config = TrainingConfig(**{field.name: getattr(args, field.name) for field in fields})
    model = _model(args).to(team.device)
    if model.config.encoder not in EFFICIENTNET_LITE:
        raise ValueError(f'the recipe lite does not train {model.name}: use --recipe paper')
    recipe = LiteRecipe(model, samples.questions.texts, weights, config)
    return Trainer(recipe, samples, args.out, team)


def _paper(args: argparse.Namespace, team: Workers) -> Trainer:
    from lseg_ros.training.config import PaperConfig
    from lseg_ros.training.crops import CropStream
    from lseg_ros.training.episodes import EpisodeStream
    from lseg_ros.training.paper import PaperRecipe
    from lseg_ros.training.trainer import Trainer

    size = tuple(args.crop)
    if args.dataset in EPISODES:
        samples = EpisodeStream(_open_episodes(args), size, args.seed)
    else:
        samples = CropStream(_open_folder(args), args.base, size, args.seed)
    model = _model(args).to(team.device)
    if any(side % model.stride for side in size):
        raise ValueError(f'--crop {size[0]} {size[1]}: both must be multiples of {model.stride}')
    per_epoch = max(1, len(samples) // (args.batch * args.accumulate * team.count))
    derived = {'steps': args.steps or args.epochs * per_epoch, 'steps_per_epoch': per_epoch,
               'processes': team.count, 'bfloat16': bool(args.bfloat16)}
    names = {field.name for field in dataclasses.fields(PaperConfig)} - set(derived)
    config = PaperConfig(**derived, **{name: getattr(args, name) for name in names})
    return Trainer(PaperRecipe(model, config, team), samples, args.out, team)


def _open_folder(args: argparse.Namespace) -> LabelledFolder:
    """The data as images with masks over one list of classes."""
    from lseg_ros.training.dataset import open_folders
    from lseg_ros.training.sources import open_ade20k_training, open_masked_folder

    if args.dataset == 'rooms':
        return open_folders(args.data)
    if args.dataset == 'folder' and args.labels is None:
        raise ValueError('--dataset folder needs --labels, the file that names the mask indices')
    root = _single_root(args)
    if args.dataset == 'folder':
        return open_masked_folder(root, args.labels, args.masks)
    return open_ade20k_training(root)


def _open_episodes(args: argparse.Namespace) -> Benchmark:
    from lseg_ros.training import episodes

    root = _single_root(args)
    if args.dataset == 'fss1000':
        return episodes.open_fss1000_training(root)
    if args.fold is None:
        raise ValueError(f'--dataset {args.dataset} needs --fold, whose classes are not trained')
    open_fold = {'pascal5i': episodes.open_pascal5i_training,
                 'coco20i': episodes.open_coco20i_training}[args.dataset]
    return open_fold(root, args.fold)


def _single_root(args: argparse.Namespace) -> Path:
    if len(args.data) > 1:
        raise ValueError(f'--dataset {args.dataset} takes one --data, not {len(args.data)}')
    return args.data[0]


def _model(args: argparse.Namespace) -> LSeg:
    """The network to train: as the weights to start from have it, or else as --model says."""
    from lseg_ros.model import build, config_of, load
    from lseg_ros.training.averaging import mean_state

    if args.start:
        models = [load(file, text_model=args.text_model) for file in args.start]
        model = models[0]
        model.load_image_state_dict(mean_state([m.image_state_dict() for m in models]))
    else:
        config = config_of(args.model)
        if args.model == 'lseg-lite':
            config = dataclasses.replace(config, encoder=args.encoder, width=args.width)
        model = build(config, pretrained=True, text_model=args.text_model)
    size = args.input_size or model.input_size or 240
    model.config = dataclasses.replace(model.config, input_size=size, calibration=1.0)
    return model


def _validation(args: argparse.Namespace) -> Callable[[LSeg], Mapping[str, float]] | None:
    """The function that scores a model at each save."""
    from lseg_ros.evaluation.folder import open_folder, read_names
    from lseg_ros.evaluation.rooms import ROBOT_LABELS, room_examples
    from lseg_ros.evaluation.score import score
    from lseg_ros.segmenter import Segmenter
    from lseg_ros.training.dataset import open_folders
    from lseg_ros.training.vocabulary import load_vocabulary

    if args.validate is None:
        return None
    if args.validate_labels:
        labels, examples = read_names(args.validate_labels), open_folder(args.validate)
    else:
        labels, vocabulary = ROBOT_LABELS, load_vocabulary(args.vocabulary)
        examples = room_examples(open_folders([args.validate]), vocabulary, labels, 100)
    return lambda model: score(Segmenter(model), labels, examples).summary()
