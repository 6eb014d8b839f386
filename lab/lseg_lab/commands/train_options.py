# SPDX-License-Identifier: Apache-2.0
"""The options of `lseg train` whose defaults depend on the recipe, or that only one takes."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What a recipe takes beside the fields of its config, with its defaults.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    'lite': {
        'device': 'cpu',
        'crop': (240, 320),
        'zoom': (0.7, 1.6),
        'coarse': 0.2,
        'balance': 0.6,
        'recolour': 0.35,
        'class_weighting': 0.2,
    },
    'paper': {'device': 'auto', 'crop': (480, 480), 'base': 520, 'epochs': 240},
}


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Declare what shapes the samples."""
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
        group.add_argument(
            f'--{option}',
            type=kind,
            nargs=count,
            metavar=metavar,
            help=f'{help_text} ({_defaults_text(option)})',
        )


def add_optimisation(parser: argparse.ArgumentParser) -> None:
    """Declare what rules the optimiser."""
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
        group.add_argument(f'--{option}', type=kind, help=f'{help_text} ({_defaults_text(option)})')
    group.add_argument(
        '--stop-after',
        type=int,
        metavar='N',
        help='end the run early, after N epochs, or N '
        'steps if --steps is its length; the rates are those of the whole run',
    )
    group.add_argument(
        '--bfloat16',
        action='store_true',
        default=None,
        help='paper: compute encoder and decoder in bfloat16',
    )


def resolve(args: argparse.Namespace) -> None:
    """Fill in the recipe's defaults.

    Raises ValueError for an option that it does not take, or a stop that is not within the run.
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
        raise ValueError(
            f'--stop-after {args.stop_after}: the run has {length} {unit}, give 1 to {length}'
        )


def _defaults(recipe: str) -> dict[str, Any]:
    """The options that a recipe takes, with their defaults; None where data decides."""
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
