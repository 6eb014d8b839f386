# SPDX-License-Identifier: Apache-2.0
"""``lseg export``: write a network as an ONNX file, for boards and other runtimes."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lseg_ros.backends.onnx_check import Agreement
    from lseg_ros.model import LSeg

HELP = 'write a network as an ONNX file for boards and other runtimes'
DESCRIPTION = """\
Write a network as an ONNX file for images of one size, and compare it with PyTorch by ONNX Runtime
on the CPU. A file that differs is not kept.

  lseg export lseg-lite --size 341x256 lseg-lite.onnx
  lseg export lseg-vitl16 --size 640x480 --half lseg-vitl16.onnx

inputs   images  uint8 [1, height, width, 3], RGB
         text    float32 [labels, dimensions], a row of LSeg.encode_text for each label; the number
                 of labels is free
output   logits  float32 [1, labels, rows, columns] on the network's grid; the class of a cell is
                 the label with the largest, its confidence softmax(logits / calibration)

Images are not resized: give the size at which the node would run the network, whose default the
command prints. The opset, the model and its calibration are stored in the file. Weights of more
than 1 GB go into a second file, FILE.onnx.data, which must stay beside the first.
"""
# Largest difference of a logit in float32, and share of cells with another class in float16.
MOST_DIFFERENT, MOST_OTHER_IDS = 1e-3, 0.005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('model', metavar='MODEL', help='name of a model, or path of its weights; see lseg info')
    parser.add_argument('target', metavar='FILE.onnx', type=Path, help='file to write')
    parser.add_argument(
        '--size', metavar='WIDTHxHEIGHT', required=True, help='size of the images in pixels, for example 640x480'
    )
    parser.add_argument('--half', action='store_true', help='store and compute the layers in float16')


def run(args: argparse.Namespace) -> int:
    """Write and check the file, and print what it holds."""
    size = _size(args.size)
    for path in (args.target, args.target.with_name(f'{args.target.name}.data')):
        if path.exists():
            raise ValueError(f'{path} already exists: remove it or choose another name')
    if args.target.suffix != '.onnx':
        raise ValueError(f'{args.target} must end in .onnx')
    from lseg_ros.backends.onnx_check import compare
    from lseg_ros.backends.onnx_network import check_packages, write_onnx
    from lseg_ros.model import load

    check_packages()
    import torch

    model = load(args.model)
    dtype = torch.float16 if args.half else torch.float32
    files = write_onnx(model, size, args.target, dtype=dtype, metadata=_metadata(model, args.half))
    try:
        agreement = compare(args.target, model, size)
        if not _agrees(agreement, args.half):
            raise ValueError(f'{args.target} was not kept: {_describe(agreement)}')
    except BaseException:
        for file in files:
            file.unlink()
        raise
    _report(model, size, files, agreement)
    return 0


def _size(text: str) -> tuple[int, int]:
    """Return height and width of WIDTHxHEIGHT."""
    if not (found := re.fullmatch(r'([1-9]\d{0,3})x([1-9]\d{0,3})', text)):
        raise ValueError(f'--size must be WIDTHxHEIGHT in pixels, as in 640x480, not {text!r}')
    width, height = map(int, found.groups())
    return height, width


def _metadata(model: LSeg, half: bool) -> dict[str, str]:
    return {
        'lseg.model': model.name,
        'lseg.weights': model.digest(),
        'lseg.precision': 'float16' if half else 'float32',
        'lseg.calibration': f'{model.calibration:g}',
    }


def _agrees(agreement: Agreement, half: bool) -> bool:
    close = math.isfinite(agreement.difference) if half else agreement.difference <= MOST_DIFFERENT
    return close and agreement.other_ids <= MOST_OTHER_IDS


def _describe(agreement: Agreement) -> str:
    return (
        f'logits differ from those of PyTorch by at most {agreement.difference:.2g}, '
        f'classes in {agreement.other_ids:.2%} of the cells'
    )


def _report(model: LSeg, size: tuple[int, int], files: list[Path], agreement: Agreement) -> None:
    from lseg_ros.backends.onnx_network import OPSET

    for file in files:
        print(f'{file}: {file.stat().st_size / 1e6:.1f} MB')
    print(f'{model.name}, ONNX opset {OPSET}, images {size[1]}x{size[0]}, text rows of {model.text_encoder.dim}')
    print(f'checked by ONNX Runtime on the CPU: {_describe(agreement)}')
    if model.input_size and min(size) != model.input_size:
        print(f'note: the node runs {model.name} at a short side of {model.input_size} pixels by default')
