# SPDX-License-Identifier: Apache-2.0
"""The options of every command that runs a model on files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lseg_ros.core.segmenter import Segmenter


def add_output_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --output, the folder for the results."""
    parser.add_argument(
        '--output',
        metavar='DIR',
        type=Path,
        default=Path(default),
        help='folder for the results (default: %(default)s)',
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --device and the options of backends, with the values of `open_segmenter`."""
    parser.add_argument(
        '--model',
        default='lseg-lite',
        help='name of a model, or path of its weights; see lseg info (default: %(default)s)',
    )
    parser.add_argument(
        '--device', default='auto', help='cpu, cuda, cuda:1 ...; auto: a GPU if there is one (default: %(default)s)'
    )
    add_backend_options(parser)


def open_chosen(args: argparse.Namespace, **options: Any) -> Segmenter:
    """Open the model that the options name; `options` are others of `open_segmenter`."""
    from lseg_ros.core.factory import open_segmenter  # it takes seconds to load

    chosen = {'device': args.device, 'backend': args.backend, 'openvino_device': args.openvino_device}
    return open_segmenter(args.model, **chosen | options)


def add_backend_options(parser: argparse._ActionsContainer) -> None:
    """Add --backend and --openvino-device, with the values that `open_segmenter` takes."""
    parser.add_argument(
        '--backend',
        choices=('auto', 'torch', 'openvino', 'onnxruntime', 'eager'),
        default='auto',
        help='what runs the network; auto: the fastest, as in the node; eager: the network as '
        'written, as in published figures (default: %(default)s)',
    )
    parser.add_argument(
        '--openvino-device',
        default='CPU',
        metavar='DEVICE',
        help='where openvino runs the network: CPU, GPU, NPU or AUTO (default: %(default)s)',
    )
