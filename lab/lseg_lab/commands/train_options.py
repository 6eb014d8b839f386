# SPDX-License-Identifier: Apache-2.0
"""The options of `lseg train` that depend on the recipe, and their defaults."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lseg_ros.number_options import SEED, SHARE, NumberType, whole

# Options of a recipe that are not fields of its config, with their defaults.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    'lite': {
        'device': 'cpu',
        'photographs': None,
        'photograph_share': 0.5,
        'crop': (240, 320),
        'zoom': (0.7, 1.6),
        'coarse': 0.2,
        'balance': 0.6,
        'recolour': 0.35,
        'class_weighting': 0.2,
        'bfloat16': None,  # depends on the device
    },
    'paper': {'device': 'auto', 'crop': (480, 480), 'base': 520, 'epochs': 240},
}


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Declare the options that shape the samples."""
    group = parser.add_argument_group('samples')
    group.add_argument('--vocabulary', type=Path, help='vocabulary file (that of the package)')
    for option, kind, count, help_text in (
        ('crop', whole(1), 2, 'height and width of a sample in pixels'),
        ('zoom', NumberType(above=0), 2, 'range of the random zoom; at 1, the short side is at most 288 pixels'),
        ('coarse', SHARE, None, 'share of samples asked for broad instead of specific labels'),
        ('photograph-share', NumberType(above=0, below=1), None, 'share of samples that come from --photographs'),
        ('balance', SHARE, None, 'share of samples drawn by class, so that rare classes are seen'),
        ('recolour', SHARE, None, 'share of samples with recoloured regions'),
        ('class-weighting', NumberType(0), None, 'how much rare classes weigh in the loss; 0: all classes alike'),
        ('base', whole(2), None, 'long side of an image before a random zoom of 0.5 to 2'),
    ):
        metavar = {'crop': ('H', 'W'), 'zoom': ('FROM', 'TO')}.get(option)
        group.add_argument(
            f'--{option}', type=kind, nargs=count, metavar=metavar, help=f'{help_text} ({_defaults_text(option)})'
        )


def add_optimisation(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the optimisation."""
    group = parser.add_argument_group('optimisation')
    for option, kind, help_text in (
        ('steps', whole(1), 'number of optimiser steps; paper: instead of --epochs'),
        ('epochs', whole(1), 'number of passes over the data'),
        ('batch', whole(1), 'images (or episodes) that a process handles at once'),
        ('accumulate', whole(1), 'batches per optimiser step'),
        ('learning-rate', NumberType(above=0), 'lite: for the decoder; paper: for the encoder and a batch of 16'),
        ('encoder-learning-rate', NumberType(0), "learning rate for the encoder's later stages; 0 freezes it"),
        ('keep-classes', NumberType(0), "weight of the loss that keeps a tuned encoder's ImageNet classes"),
        ('decoder-factor', NumberType(0), "ratio of the decoder's learning rate to the encoder's"),
        ('momentum', NumberType(0, below=1), 'momentum of stochastic gradient descent'),
        ('weight-decay', NumberType(0), 'weight decay of all trained parameters'),
        ('power', NumberType(0), 'power of the polynomial learning rate schedule'),
        ('warm-up', whole(1), 'steps until the full learning rate is reached'),
        ('average-decay', NumberType(0, below=1), 'decay of the moving average of the weights'),
        ('style-probability', SHARE, 'probability of randomising feature statistics'),
        ('style-strength', NumberType(0), 'strength of that randomisation'),
        ('level-dropout', SHARE, "probability of dropping one of an image's finest feature levels"),
        ('workers', whole(0), 'processes that load and augment images'),
        ('seed', SEED, 'seed of all random numbers'),
    ):
        group.add_argument(f'--{option}', type=kind, help=f'{help_text} ({_defaults_text(option)})')
    group.add_argument(
        '--stop-after',
        type=whole(1),
        metavar='N',
        help='end the run early, after N epochs (or N steps if --steps is given), on the same learning rate schedule',
    )
    group.add_argument(
        '--bfloat16',
        action=argparse.BooleanOptionalAction,
        help='run encoder and decoder in bfloat16, which is slow on a device without instructions for it (lite: if '
        'the device has them; paper: no)',
    )


def resolve(args: argparse.Namespace) -> None:
    """Fill in the recipe's defaults.

    Raise ValueError for an option of the other recipe, a --zoom that falls, or a --stop-after
    beyond the end.
    """
    defaults = _defaults(args.recipe)
    for name in {name for recipe in RECIPES for name in _defaults(recipe)}:
        if getattr(args, name) is None:
            setattr(args, name, defaults.get(name))
        elif name not in defaults:
            option = name.replace('_', '-')
            raise ValueError(f'--{option} is not an option of the recipe {args.recipe}')
    if args.zoom and args.zoom[0] > args.zoom[1]:
        raise ValueError(f'--zoom {args.zoom[0]:g} {args.zoom[1]:g}: the second must not be less than the first')
    length, unit = (args.steps, 'steps') if args.steps else (args.epochs, 'epochs')
    if args.stop_after is not None and args.stop_after > length:
        raise ValueError(f'--stop-after {args.stop_after}: the run has {length} {unit}; use 1 to {length}')


def _defaults(recipe: str) -> dict[str, Any]:
    """Return the options of a recipe with their defaults; None if they depend on the data."""
    from lseg_lab.training.config import PaperConfig, TrainingConfig

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
