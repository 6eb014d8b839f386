# SPDX-License-Identifier: Apache-2.0
"""Measure LSeg on this machine, from the bare network to the ROS node."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from lseg_ros.backends.device import PRECISIONS, find_device, find_precision, limit_cpu_threads
from networks import LARGE
from rows import Row, print_table, write_json
from scenarios import VGA, Setting, measure

SMALL = 'lseg-lite'
DESCRIPTION = """\
Measure LSeg on this machine and print one table; bench_output/bench.json holds the same rows.

  a   the network as one writes it down: eager, float32, channels first
  b   ours, the network only: image on the device to logits, by each backend
  c   image array to class ids: copies, resize, network, decision
  d   image message to label-image message, through the real node in a process of its own

Rows of one group are measured in turn, so that other work on the machine hits all alike; compare
them with each other. floor is the share of the time that the network's arithmetic takes at the
device's measured peak; CPU s is the CPU time an image takes of all threads together.

  make bench
  make bench BENCH_ARGS=--quick
  make bench BENCH_ARGS='--device cuda --model lseg-vitl16'
  make bench BENCH_ARGS='--cpu-threads 1 --repeats 100'
"""


def main() -> None:
    """Measure, print and write the rows."""
    args = _parser().parse_args()
    limit_cpu_threads(args.cpu_threads)
    device = find_device(args.device)
    print(f'{_machine(device)}, PyTorch {torch.__version__}\n', flush=True)
    rows: list[Row] = []
    for group in _groups(args, device):
        rows += group
        print_table(group)
        print(flush=True)
        write_json(rows, args.output)
    print(f'{len(rows)} rows: {args.output}')


def _groups(args: argparse.Namespace, device: torch.device) -> Iterator[list[Row]]:
    precision = _name(find_precision(args.precision, device))
    repeats = 5 if args.quick else args.repeats
    for model in _models(args, device):
        setting = Setting(model, device, precision, repeats)
        groups = measure(setting)
        yield from ([next(groups)] if args.quick else groups)
        if model == SMALL:
            yield _through_node(setting, args)
    if device.type == 'cpu':
        yield [
            Row(name, LARGE, 'cuda', 'float16', '{}x{}'.format(*VGA), 1, 12, note='needs a GPU')
            for name in ('b network', 'c image to ids')
        ]


def _models(args: argparse.Namespace, device: torch.device) -> list[str]:
    if args.model:
        return [args.model]
    return [SMALL, LARGE] if args.all or device.type == 'cuda' else [SMALL]


def _through_node(setting: Setting, args: argparse.Namespace) -> list[Row]:
    try:
        from through_node import measure_node
    except ImportError as error:
        return [setting.row('d message to message', VGA).because(f'needs ROS 2: {error}')]
    return measure_node(setting, args.cpu_threads)


def _name(dtype: torch.dtype) -> str:
    return next(name for name, value in PRECISIONS.items() if value is dtype)


def _machine(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    names = [
        line.partition(':')[2].strip()
        for line in Path('/proc/cpuinfo').read_text().splitlines()
        if line.startswith('model name')
    ]
    return f'{names[0]}, {torch.get_num_threads()} threads on {os.cpu_count()} cores'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--model',
        help='name of a model, or path of one; lseg-vitl16 has random '
        'weights (default: lseg-lite, and on a GPU lseg-vitl16 too)',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:1')
    parser.add_argument('--precision', default='auto', help=f'auto, {", ".join(PRECISIONS)}')
    parser.add_argument('--cpu-threads', type=int, default=0, help='0: one for each core')
    parser.add_argument('--repeats', type=int, default=50, help='of each row (default: 50)')
    parser.add_argument(
        '--quick', action='store_true', help='about a minute: one size, batch and number of labels'
    )
    parser.add_argument(
        '--all', action='store_true', help='lseg-vitl16 on a CPU too, at several seconds an image'
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('bench_output/bench.json'),
        help='file for the rows (default: %(default)s)',
    )
    return parser


if __name__ == '__main__':
    main()
