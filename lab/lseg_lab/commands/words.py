# SPDX-License-Identifier: Apache-2.0
"""`lseg words`: let a trained network answer words that it was never taught."""

from __future__ import annotations

import argparse
from pathlib import Path

from lseg_ros.number_options import NumberType

HELP = 'let a trained network answer words that it was never taught'
DESCRIPTION = """\
Training teaches the words of the training data and little else. The image encoder knows a
thousand more: the classes of ImageNet, from dogs and bicycles to laptops. This command adds
its ImageNet classifier to a trained network like lseg-lite. Where the classifier is sure of
itself, the embeddings move towards the names of what it sees, so labels with a similar meaning
score higher. Nothing is trained, the file grows by 3 MB, and inference takes 15 to 25 % longer.

--strength says how far embeddings move. Compare it with the length of an embedding before it is
scaled to one, which is about 200 for lseg-lite: at 200, a sure classifier counts as much as the
decoder. A higher strength finds more new words but costs accuracy in the trained ones, so score
a few, and calibrate the confidence again. At 0, what an earlier run added is removed.

Do this last. `lseg train --start` leaves the addition out, since it holds for one set of weights.

examples:
  lseg words runs/a/weights.safetensors a_words.safetensors
  lseg words runs/a/weights.safetensors weak.safetensors --strength 100
  lseg evaluate --dataset rooms --root rooms_test --model a_words.safetensors
  lseg segment dog.jpg --model a_words.safetensors --labels "dog, floor, wall, sofa"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('source', metavar='WEIGHTS', help='trained weights, or a model by name')
    parser.add_argument('target', type=Path, metavar='OUT', help='safetensors file to write')
    parser.add_argument('--strength', type=NumberType(0, 10_000), default=200.0, help='see above (%(default)g)')
    parser.add_argument('--text-model', help='folder of MiniLM; by default the installed package')


def run(args: argparse.Namespace) -> int:
    """Write the network with its class prior; return the exit status."""
    if args.target.exists():
        raise ValueError(f'{args.target} already exists: remove it or choose another name')
    from lseg_lab.training.class_words import add_class_prior, has_imagenet_encoder, remove_class_prior
    from lseg_ros.model import load, save

    model = load(args.source, text_model=args.text_model)
    if args.strength:
        add_class_prior(model, args.strength)
        if not has_imagenet_encoder(model):
            print(
                f'warning: the image encoder of {args.source} was tuned: its ImageNet classifier may err, '
                'unless --keep-classes was on'
            )
    else:
        remove_class_prior(model)
    save(model, args.target)
    print(f'{args.target}: {args.target.stat().st_size:,} bytes, strength {args.strength:g}')
    return 0
