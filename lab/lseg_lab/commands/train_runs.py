# SPDX-License-Identifier: Apache-2.0
"""Turn the arguments of `lseg train` into data, a network and a run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lseg_lab.evaluation.episodes import Benchmark
    from lseg_lab.evaluation.folder import Example
    from lseg_lab.training.dataset import LabelledFolder, SampleStream
    from lseg_lab.training.sampling import Part
    from lseg_lab.training.trainer import Trainer
    from lseg_ros.model import LSeg
    from lseg_ros.sharing.workers import Workers

EPISODES = ('pascal5i', 'coco20i', 'fss1000')
DATASETS = ('rooms', 'folder', 'ade20k', *EPISODES)


def open_run(args: argparse.Namespace, team: Workers) -> Trainer:
    """Open data and network, and start or resume the run.

    Raise ValueError for arguments that contradict each other, FileNotFoundError for missing data.
    """
    return {'lite': _lite, 'paper': _paper}[args.recipe](args, team)


def validation(args: argparse.Namespace) -> Callable[[LSeg], Mapping[str, float]] | None:
    """Return the function that scores a model whenever it is saved."""
    from lseg_lab.evaluation.folder import open_folder, read_names
    from lseg_lab.evaluation.rendered import ROBOT_LABELS, room_examples
    from lseg_lab.evaluation.score import score
    from lseg_lab.training.dataset import open_folders
    from lseg_lab.training.vocabulary import load_vocabulary
    from lseg_ros.core.factory import open_segmenter

    if args.validate is None:
        return None
    labels: Sequence[str]
    examples: Iterable[Example]
    if args.validate_labels:
        labels, examples = read_names(args.validate_labels), open_folder(args.validate)
    else:
        labels, vocabulary = ROBOT_LABELS, load_vocabulary(args.vocabulary)
        examples = room_examples(open_folders([args.validate]), vocabulary, labels, 100)
    # Compiling the network for a fast backend would take longer than it saves.
    return lambda model: score(open_segmenter(model, backend='eager'), labels, examples).summary()


def _lite(args: argparse.Namespace, team: Workers) -> Trainer:
    from lseg_lab.training.config import TrainingConfig
    from lseg_lab.training.lite import LiteRecipe
    from lseg_lab.training.objective import class_weights
    from lseg_lab.training.trainer import Trainer
    from lseg_ros.model.backbones import EFFICIENTNET_LITE

    if team.count > 1:
        raise ValueError('the recipe lite uses one process: start it without torchrun')
    if args.dataset in EPISODES:
        raise ValueError(f'{args.dataset} consists of zero-shot episodes: use --recipe paper')
    samples = _sample_stream(args)
    share = samples.sampler.mean_shares()
    weights = class_weights(share, args.class_weighting, (0.25, 4.0))
    fields = dataclasses.fields(TrainingConfig)
    config = TrainingConfig(**{field.name: getattr(args, field.name) for field in fields})
    model = _model(args).to(team.device)
    if model.config.encoder not in EFFICIENTNET_LITE:
        raise ValueError(f'the recipe lite cannot train {model.name}: use --recipe paper')
    recipe = LiteRecipe(model, samples.questions.texts, weights, config, bfloat16=args.bfloat16)
    return Trainer(recipe, samples, args.out, team)


def _sample_stream(args: argparse.Namespace) -> SampleStream:
    from lseg_lab.training.dataset import SampleStream, class_shares
    from lseg_lab.training.questions import QuestionSampler
    from lseg_lab.training.sampling import ImageSampler
    from lseg_lab.training.vocabulary import load_vocabulary

    folder, vocabulary = _open_folder(args), load_vocabulary(args.vocabulary)
    left_out = [c for c, name in enumerate(folder.classes) if name in vocabulary.left_out]
    sampler = ImageSampler(class_shares(folder), _parts(args, folder), balance=args.balance, ignored=left_out)
    questions = QuestionSampler(vocabulary, folder.classes, coarse=args.coarse)
    return SampleStream(
        folder, questions, sampler, crop=tuple(args.crop), zoom=tuple(args.zoom), recolour=args.recolour, seed=args.seed
    )


def _parts(args: argparse.Namespace, folder: LabelledFolder) -> tuple[Part, Part] | None:
    """Return rooms and photographs apart, or None without --photographs."""
    import numpy as np

    from lseg_lab.training.sampling import Part

    if not args.photographs:
        return None
    photographs = np.array([root >= len(args.data) for _, _, root in folder.pairs])
    return (
        Part(np.flatnonzero(~photographs), 1 - args.photograph_share),
        Part(np.flatnonzero(photographs), args.photograph_share, exact=False),
    )


def _paper(args: argparse.Namespace, team: Workers) -> Trainer:
    from lseg_lab.training.config import PaperConfig
    from lseg_lab.training.crops import CropStream
    from lseg_lab.training.episode_stream import EpisodeStream
    from lseg_lab.training.paper import PaperRecipe
    from lseg_lab.training.trainer import Trainer

    size = tuple(args.crop)
    samples: EpisodeStream | CropStream
    if args.dataset in EPISODES:
        # Like HSNet, draw the class first if class sizes differ as much as COCO's.
        by_class = args.dataset == 'coco20i'
        samples = EpisodeStream(_open_episodes(args), size, args.seed, by_class)
    else:
        samples = CropStream(_open_folder(args), args.base, size, args.seed)
    model = _model(args).to(team.device)
    if any(side % model.stride for side in size):
        raise ValueError(f'--crop {size[0]} {size[1]}: both must be multiples of {model.stride}')
    per_epoch = max(1, len(samples) // (args.batch * args.accumulate * team.count))
    derived = {
        'steps': args.steps or args.epochs * per_epoch,
        'steps_per_epoch': per_epoch,
        'processes': team.count,
        'bfloat16': bool(args.bfloat16),
    }
    names = {field.name for field in dataclasses.fields(PaperConfig)} - set(derived)
    config = PaperConfig(**derived, **{name: getattr(args, name) for name in names})
    return Trainer(PaperRecipe(model, config, team), samples, args.out, team)


def _open_folder(args: argparse.Namespace) -> LabelledFolder:
    """Open the data as images with masks that share one list of classes."""
    from lseg_lab.training.dataset import open_folders
    from lseg_lab.training.labelled_folders import open_ade20k_training, open_masked_folder

    if args.dataset == 'rooms':
        return open_folders([*args.data, *(args.photographs or ())])
    if args.photographs:
        raise ValueError('--photographs can be mixed with --dataset rooms only')
    if args.dataset == 'folder' and args.labels is None:
        raise ValueError('--dataset folder needs --labels, a file with one label per mask index')
    root = _single_root(args)
    if args.dataset == 'folder':
        return open_masked_folder(root, args.labels, args.masks)
    return open_ade20k_training(root)


def _open_episodes(args: argparse.Namespace) -> Benchmark:
    from lseg_lab.training import episode_stream

    root = _single_root(args)
    if args.dataset == 'fss1000':
        return episode_stream.open_fss1000_training(root)
    if args.fold is None:
        raise ValueError(f'--dataset {args.dataset} needs --fold, whose classes are held out')
    open_fold = {'pascal5i': episode_stream.open_pascal5i_training, 'coco20i': episode_stream.open_coco20i_training}[
        args.dataset
    ]
    return open_fold(root, args.fold)


def _single_root(args: argparse.Namespace) -> Path:
    if len(args.data) > 1:
        raise ValueError(f'--dataset {args.dataset} takes one --data, not {len(args.data)}')
    return args.data[0]


def _model(args: argparse.Namespace) -> LSeg:
    """Return the network to train: that of --start, else the one --model describes."""
    import torch

    from lseg_lab.training.averaging import mean_state
    from lseg_lab.training.initial_weights import build_pretrained, config_of

    torch.manual_seed(args.seed)  # for the weights that start random
    if args.start:
        models = [_load_start(file, args.text_model) for file in args.start]
        model = models[0]
        mean = mean_state([each.image_state_dict() for each in models])
        model.load_state_dict({**model.state_dict(), **mean})
    else:
        config = config_of(args.model)
        if args.model == 'lseg-lite':
            config = dataclasses.replace(config, encoder=args.encoder, width=args.width)
        model = build_pretrained(config, args.text_model)
    size = args.input_size or model.input_size or 240
    model.config = dataclasses.replace(model.config, input_size=size, calibration=1.0)
    return model


def _load_start(file: str, text_model: str | None) -> LSeg:
    """Load a network without its class prior, which holds for the weights it was made for."""
    from lseg_lab.training.class_words import remove_class_prior
    from lseg_ros.model import load

    model = load(file, text_model=text_model)
    if model.config.class_prior:
        print(f'{file}: its class prior is left out; after training, add one with `lseg words`')
        remove_class_prior(model)
    return model
