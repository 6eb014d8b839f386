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
from scenarios import VGA, Setting, compare, measure

SMALL = 'lseg-lite'
DESCRIPTION = """\
Measure LSeg on this machine and print one table; bench_output/bench.json gets the same rows.

  a   the plain network: eager, float32, channels first
  b   our network alone, with each backend: image on the device to logits
  c   image array to class ids: copies, resize, network, decision
  d   image message to label image message, through the real node in its own process
  e   the same while one camera, or three, send VGA images at a fixed rate
  f   image array to class ids, beside CLIPSeg as transformers runs it

Rows of one group are measured in alternation, so that other load on the machine affects all of
them alike: compare rows within a group. floor is the fraction of the time that the network's
arithmetic would take at the device's measured peak. CPU ms/image counts all threads; cores is the
CPU time of the node's process per second.

  make bench
  make bench BENCH_ARGS=--quick
  make bench BENCH_ARGS='--device cuda --model lseg-vitl16'
  make bench BENCH_ARGS='--cpu-threads 1 --repeats 100'
"""


def main() -> None:
    """Measure; print and write the rows."""
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
    print(f'{len(rows)} rows written to {args.output}')


def _groups(args: argparse.Namespace, device: torch.device) -> Iterator[list[Row]]:
    precision = _name(find_precision(args.precision, device))
    repeats = 5 if args.quick else args.repeats
    for model in _models(args, device):
        setting = Setting(model, device, precision, repeats)
        groups = measure(setting)
        yield from ([next(groups)] if args.quick else groups)
        yield from _through_node(setting, args)
        if model == SMALL and not args.quick:
            yield compare(setting)
    if device.type == 'cpu':
        yield [
            Row(name, LARGE, 'cuda', 'float16', '{}x{}'.format(*VGA), 1, 12, note='needs a GPU')
            for name in ('b network', 'c image to ids')
        ]


def _models(args: argparse.Namespace, device: torch.device) -> list[str]:
    if args.model:
        return [args.model]
    return [SMALL, LARGE] if args.all or device.type == 'cuda' else [SMALL]


def _through_node(setting: Setting, args: argparse.Namespace) -> Iterator[list[Row]]:
    try:
        from through_node import measure_node
    except ImportError as error:
        yield [setting.row('d message to message', VGA).because(f'needs ROS 2: {error}')]
        return
    groups = measure_node(setting, args.cpu_threads)
    yield from ([next(groups)] if args.quick else groups)


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
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--model',
        help='name or path; those to be fetched get random weights (default: lseg-lite, on a GPU also lseg-vitl16)',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:1')
    parser.add_argument('--precision', default='auto', help=f'auto, {", ".join(PRECISIONS)}')
    parser.add_argument('--cpu-threads', type=int, default=0, help='0: one per core (default: 0)')
    parser.add_argument('--repeats', type=int, default=50, help='runs per row (default: 50)')
    parser.add_argument('--quick', action='store_true', help='one size, batch and number of labels; about a minute')
    parser.add_argument('--all', action='store_true', help='also lseg-vitl16 on a CPU; several seconds per image')
    parser.add_argument(
        '--output', type=Path, default=Path('bench_output/bench.json'), help='file for the rows (default: %(default)s)'
    )
    return parser


if __name__ == '__main__':
    main()
