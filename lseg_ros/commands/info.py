# SPDX-License-Identifier: Apache-2.0
"""``lseg info``: what a model is, and what is installed here."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros import __version__

if TYPE_CHECKING:
    from lseg_ros.model import LSeg

HELP = 'tell what a model is, or what is installed'
DESCRIPTION = """\
Without an argument: the models known by name, and the versions that a bug report needs.
With the name or the file of a model: tell its parts, sizes and settings, and check that the
file is complete, without reading all of it.

  lseg info
  lseg info lseg-lite
  lseg info trained/last.safetensors
  lseg info demo_e200.ckpt
"""

PACKAGES = ('torch', 'timm', 'tokenizers', 'numpy', 'pillow', 'rclpy')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'model', nargs='?', metavar='MODEL|FILE', help='name of a model, or path of its weights'
    )


def run(args: argparse.Namespace) -> int:
    """Print the facts as two columns."""
    if args.model is None:
        facts = {**_environment(), **_zoo()}
    else:
        facts = _inspect(args.model)
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f'{name:<{width}}  {value}')
    return 0


def describe(model: LSeg) -> dict[str, str]:
    """Return what there is to know of a loaded model, by the names of its properties."""
    image = sum(tensor.numel() for tensor in model.image_state_dict().values())
    text = sum(parameter.numel() for parameter in model.text_encoder.parameters())
    size = f'short side {model.input_size} px' if model.input_size else "the image's own"
    return {
        'model': model.name,
        'image encoder': model.config.encoder,
        'text encoder': f'{model.config.text}, frozen',
        'parameters': f'{image / 1e6:.2f} M image side, {text / 1e6:.2f} M text encoder',
        'embedding': f'{model.text_encoder.dim} dimensions',
        'input size': f'{size}, padded to multiples of {model.stride}',
        'spatial regularisation': model.config.spatial,
        'mean, std': f'{_numbers(model.mean)}, {_numbers(model.std)}',
        'temperature': f'{model.temperature:g}',
        'calibration': f'{model.calibration:g}' + (' (not fitted)' * (model.calibration == 1.0)),
    }


def _inspect(name_or_path: str) -> dict[str, str]:
    """Describe a model and its file, of which only the table of contents is read."""
    from lseg_ros.model import checkpoint, outline
    from lseg_ros.model.pickle_reader import is_pickle

    path = Path(name_or_path)
    # A published file does not tell of which kind its blocks are: say only that it has some.
    spatial = 'none' if path.is_file() and is_pickle(path) else None
    with outline(name_or_path, spatial=spatial) as (model, stored):
        checkpoint.match(model, stored)
        size = f'{stored.path.stat().st_size:,} bytes'
        return {**describe(model), **stored.facts, 'file': f'{stored.path}, {size}, complete'}


def _environment() -> dict[str, str]:
    import torch

    facts = {'lseg': __version__, 'python': f'{platform.python_version()}, {platform.platform()}'}
    facts |= {name: _version(name) for name in PACKAGES}
    facts['CUDA'] = torch.version.cuda or 'not in this torch'
    facts['GPU'] = torch.cuda.get_device_name() if torch.cuda.is_available() else 'none usable'
    return facts


def _zoo() -> dict[str, str]:
    from lseg_ros.model import MODELS

    return {f'model {name}': spec.description for name, spec in MODELS.items()}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return 'not installed'


def _numbers(values: tuple[float, ...]) -> str:
    return ' '.join(f'{value:.4g}' for value in values)
