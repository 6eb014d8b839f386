# SPDX-License-Identifier: Apache-2.0
"""``lseg convert``: a published checkpoint to a smaller file that only holds what is used."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = 'turn a published checkpoint into a smaller safetensors file'
DESCRIPTION = """\
Keep what inference needs of a checkpoint of LSeg's authors: the optimizer's state, CLIP's image
tower and parts that are never used are dropped. The network computes the same as before, with
--half nearly the same. The file names its configuration and needs nothing else.

  lseg convert demo_e200.ckpt lseg-vitl16.safetensors
  lseg convert fss_rn101.ckpt lseg-rn101.safetensors --half
  lseg convert mine.ckpt mine.safetensors --spatial bottleneck:2:lrelu
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('source', metavar='CHECKPOINT', help="file that LSeg's authors publish")
    parser.add_argument('target', metavar='FILE.safetensors', help='file to write')
    parser.add_argument('--half', action='store_true', help='store all numbers as float16')
    parser.add_argument(
        '--spatial',
        metavar='KIND:DEPTH:ACTIVATION',
        help='spatial regularisation that the network was trained with, '
        'if any, as the checkpoint does not tell; none leaves it out',
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and tell the sizes."""
    source, target = Path(args.source), Path(args.target)
    if target.suffix != '.safetensors':
        raise ValueError(f'{target} must end in .safetensors')
    if target.exists():
        raise ValueError(f'{target} is there already: remove it or give another name')
    from lseg_ros.model import checkpoint, outline

    with outline(source, spatial=args.spatial) as (model, stored):
        checkpoint.convert(model, stored, target, half=args.half)
    before, after = (file.stat().st_size for file in (source, target))
    print(f'{model.name}: {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB, {target}')
    return 0
