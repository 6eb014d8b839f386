# SPDX-License-Identifier: Apache-2.0
"""The options of `lseg train` that depend on the recipe, and their defaults."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        ('crop', int, 2, 'height and width of a sample in pixels'),
        ('zoom', float, 2, 'range of the random zoom; at 1, the short side is at most 288 pixels'),
        ('coarse', float, None, 'share of samples asked for broad instead of specific labels'),
        ('photograph-share', float, None, 'share of samples that come from --photographs'),
        ('balance', float, None, 'share of samples drawn by class, so that rare classes are seen'),
        ('recolour', float, None, 'share of samples with recoloured regions'),
        ('class-weighting', float, None, 'how much rare classes weigh in the loss; 0: all classes alike'),
        ('base', int, None, 'long side of an image before a random zoom of 0.5 to 2'),
    ):
        metavar = {'crop': ('H', 'W'), 'zoom': ('FROM', 'TO')}.get(option)
        group.add_argument(
            f'--{option}', type=kind, nargs=count, metavar=metavar, help=f'{help_text} ({_defaults_text(option)})'
        )


def add_optimisation(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the optimisation."""
    group = parser.add_argument_group('optimisation')
    for option, kind, help_text in (
        ('steps', int, 'number of optimiser steps; paper: instead of --epochs'),
        ('epochs', int, 'number of passes over the data'),
        ('batch', int, 'images (or episodes) that a process handles at once'),
        ('accumulate', int, 'batches per optimiser step'),
        ('learning-rate', float, 'lite: for the decoder; paper: for the encoder and a batch of 16'),
        ('encoder-learning-rate', float, "learning rate for the encoder's later stages; 0 freezes it"),
        ('keep-classes', float, "weight of the loss that keeps a tuned encoder's ImageNet classes"),
        ('decoder-factor', float, "ratio of the decoder's learning rate to the encoder's"),
        ('momentum', float, 'momentum of stochastic gradient descent'),
        ('weight-decay', float, 'weight decay of all trained parameters'),
        ('power', float, 'power of the polynomial learning rate schedule'),
        ('warm-up', int, 'steps until the full learning rate is reached'),
        ('average-decay', float, 'decay of the moving average of the weights'),
        ('style-probability', float, 'probability of randomising feature statistics'),
        ('style-strength', float, 'strength of that randomisation'),
        ('level-dropout', float, "probability of dropping one of an image's finest feature levels"),
        ('workers', int, 'processes that load and augment images'),
        ('seed', int, 'seed of all random numbers'),
    ):
        group.add_argument(f'--{option}', type=kind, help=f'{help_text} ({_defaults_text(option)})')
    group.add_argument(
        '--stop-after',
        type=int,
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

    Raise ValueError for an option of the other recipe, or a stop outside the run.
    """
    defaults = _defaults(args.recipe)
    for name in {name for recipe in RECIPES for name in _defaults(recipe)}:
        if getattr(args, name) is None:
            setattr(args, name, defaults.get(name))
        elif name not in defaults:
            option = name.replace('_', '-')
            raise ValueError(f'--{option} is not an option of the recipe {args.recipe}')
    length, unit = (args.steps, 'steps') if args.steps else (args.epochs, 'epochs')
    if args.stop_after is not None and not 1 <= args.stop_after <= length:
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
