# SPDX-License-Identifier: Apache-2.0
"""``lseg info``: describe a model, or list what is installed."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros import __version__

if TYPE_CHECKING:
    from lseg_ros.model import LSeg

HELP = 'describe a model, or list what is installed'
DESCRIPTION = """\
Without an argument: list the versions to quote in a bug report, and the models known by name:
what is here, what lseg fetch can download, size and licence.
With a model: show its parts, sizes and settings, and check that its file is complete. Only the
file's table of contents is read.

  lseg info
  lseg info lseg-lite
  lseg info trained/last.safetensors
  lseg info demo_e200.ckpt
"""

PACKAGES = ('torch', 'openvino', 'onnxruntime', 'timm', 'tokenizers', 'numpy', 'pillow', 'rclpy')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('model', nargs='?', metavar='MODEL|FILE', help='name of a model, or path of a weights file')


def run(args: argparse.Namespace) -> int:
    """Print the facts in two columns."""
    facts = _inspect(args.model) if args.model else {**_environment(), **_models()}
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f'{name:<{width}}  {value}')
    return 0


def describe(model: LSeg) -> dict[str, str]:
    """Return the properties of a model by name."""
    image = sum(tensor.numel() for tensor in model.image_state_dict().values())
    text = sum(parameter.numel() for parameter in model.text_encoder.parameters())
    size = f'short side {model.input_size} px' if model.input_size else 'not resized'
    prior = model.config.class_prior
    calibrated = '' if model.calibration != 1.0 else ' (not fitted)'
    return {
        'model': model.name,
        'image encoder': model.config.encoder,
        'text encoder': f'{model.config.text}, frozen',
        'templates': f'{len(model.text_encoder.templates)} for each prompt',
        'parameters': f'{image / 1e6:.2f} M image side, {text / 1e6:.2f} M text encoder',
        'embedding': f'{model.text_encoder.dim} dimensions',
        'input size': f'{size}, padded to multiples of {model.stride}',
        'spatial regularisation': model.config.spatial,
        'words never trained': f'class prior of strength {prior:g}' if prior else 'no class prior',
        'mean, std': f'{_numbers(model.mean)}, {_numbers(model.std)}',
        'temperature': f'{model.config.temperature:g}',
        'calibration': f'{model.calibration:g}{calibrated}',
    }


def _inspect(name_or_path: str) -> dict[str, str]:
    """Describe a model and its file without reading the weights."""
    from lseg_ros.model import MODELS, checkpoint, outline
    from lseg_ros.model.pickle_reader import is_zip

    path = Path(name_or_path)
    # A published checkpoint does not record the kind of its blocks: report only that it has some.
    is_path = name_or_path not in MODELS and path.is_file()
    spatial = 'none' if is_path and is_zip(path) else None
    with outline(name_or_path, spatial=spatial) as (model, stored):
        checkpoint.match(model, stored)
        size = f'{stored.path.stat().st_size:,} bytes'
        return {**describe(model), **stored.facts, 'file': f'{stored.path}, {size}, complete'}


def _environment() -> dict[str, str]:
    import torch

    return {
        'lseg': __version__,
        'python': f'{platform.python_version()}, {platform.platform()}',
        **{name: _version(name) for name in PACKAGES},
        'CUDA': torch.version.cuda or 'not supported by this torch',
        'GPU': torch.cuda.get_device_name() if torch.cuda.is_available() else 'none usable',
    }


def _models() -> dict[str, str]:
    """Describe the models and weights known by name: what is here, what can be fetched."""
    from lseg_ros.downloads.catalogue import DOWNLOADS
    from lseg_ros.downloads.kept import describe_state
    from lseg_ros.model import MODELS

    facts = {
        f'model {name}': spec.description + ('; here, in the package; Apache-2.0' if spec.weights else '')
        for name, spec in MODELS.items()
    }
    for name, download in DOWNLOADS.items():
        facts[f'model {name}'] = f'{download.description}; {describe_state(download)}'
    return facts


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return 'not installed'


def _numbers(values: tuple[float, ...]) -> str:
    return ' '.join(f'{value:.4g}' for value in values)
