# SPDX-License-Identifier: Apache-2.0
"""``lseg convert``: turn a published checkpoint into a smaller file for inference."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = 'turn a published checkpoint into a smaller safetensors file'
DESCRIPTION = """\
Extract what inference needs from a checkpoint of LSeg's authors. The optimizer's state, CLIP's
image encoder and unused layers are dropped. The result includes the configuration and computes
the same as the checkpoint, or nearly the same with --half.

  lseg convert demo_e200.ckpt lseg-vitl16.safetensors
  lseg convert fss_rn101.ckpt lseg-rn101.safetensors --half
  lseg convert mine.ckpt mine.safetensors --spatial bottleneck:2:lrelu
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('source', metavar='CHECKPOINT', help="checkpoint of LSeg's authors")
    parser.add_argument('target', metavar='FILE.safetensors', help='file to write')
    parser.add_argument('--half', action='store_true', help='store the weights as float16: half the size')
    parser.add_argument(
        '--spatial',
        metavar='KIND:DEPTH:ACTIVATION',
        help='spatial regularisation that the network was trained with, which checkpoints do not '
        'record (none: leave it out)',
    )


def run(args: argparse.Namespace) -> int:
    """Convert the file and print both sizes."""
    source, target = Path(args.source), Path(args.target)
    if target.suffix != '.safetensors':
        raise ValueError(f'{target} must end in .safetensors')
    if target.exists():
        raise ValueError(f'{target} already exists: remove it or choose another name')
    from lseg_ros.model import checkpoint, outline

    with outline(source, spatial=args.spatial) as (model, stored):
        checkpoint.convert(model, stored, target, half=args.half)
    before, after = (file.stat().st_size for file in (source, target))
    print(f'{model.name}: {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB, {target}')
    return 0
