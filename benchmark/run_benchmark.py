# SPDX-License-Identifier: Apache-2.0
"""Time one image through the segmenter, for several numbers of labels."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lseg_ros.labels import LabelRegistry
from lseg_ros.model import LSeg, load
from lseg_ros.segmenter import Segmenter

LABEL_COUNTS = (2, 20, 150)
WARM_UP_RUNS = 3
DESCRIPTION = """\
Time one image through the segmenter on this machine: the network (image to embeddings), the rest
(resize, comparison with the labels, decision, copies) and their sum, for 2, 20 and 150 labels;
beside it the first encoding of that many texts, and the same from the cache. Milliseconds, median
and 95th percentile. Other busy processes falsify it.

  make bench
  python benchmark/run_benchmark.py --device cuda --size 1280x720 --repeats 200
"""


@dataclass
class Stopwatch:
    """Wraps a function and keeps the milliseconds of each call, device work included."""

    function: Callable
    device: torch.device
    times: list[float] = field(default_factory=list)

    def __call__(self, *args):
        """Call the function and note how long it took."""
        self._finish_device_work()
        started = time.perf_counter()
        result = self.function(*args)
        self._finish_device_work()
        self.times.append(1000 * (time.perf_counter() - started))
        return result

    def _finish_device_work(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)


def main() -> None:
    """Measure and print one row for each number of labels."""
    args = _parser().parse_args()
    model = load(args.model, device=args.device)
    width, height = (int(side) for side in args.size.split('x'))
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    print(f'{model.name}, {args.size}, {_machine(model.device)}, torch {torch.__version__}\n')
    headings = [f'{name:>15}' for name in ('network', 'rest', 'sum')]
    print(f"labels {' '.join(headings)} texts, first   again")
    for count in LABEL_COUNTS:
        print(_row(model, image, count, args.repeats), flush=True)


def _row(model: LSeg, image: np.ndarray, count: int, repeats: int) -> str:
    """Measure `repeats` runs with `count` labels; return the line of the table."""
    labels = LabelRegistry().replace([f'thing {count}-{number}' for number in range(count)])
    segmenter = Segmenter(model)
    prepare = Stopwatch(segmenter.prepare, model.device)
    prepared = [prepare(labels) for _ in range(2)][-1]
    network = model.encode_image = Stopwatch(model.encode_image, model.device)
    total = Stopwatch(segmenter.segment, model.device)
    for _ in range(WARM_UP_RUNS + repeats):
        total([image], prepared)
    del model.encode_image
    pairs = zip(network.times[WARM_UP_RUNS:], total.times[WARM_UP_RUNS:])
    rest = [whole - part for part, whole in pairs]
    columns = (network.times[WARM_UP_RUNS:], rest, total.times[WARM_UP_RUNS:])
    first, again = prepare.times
    return f"{count:>6} {' '.join(map(_spread, columns))} {first:>12.1f} {again:>7.2f}"


def _spread(times: list[float]) -> str:
    """Return median and 95th percentile."""
    median, last = statistics.median(times), np.percentile(times, 95)
    return f'{median:>7.1f} {last:>7.1f}'


def _machine(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    names = [
        line.partition(':')[2].strip()
        for line in Path('/proc/cpuinfo').read_text().splitlines()
        if line.startswith('model name')
    ]
    return f'{names[0]}, {torch.get_num_threads()} of {os.cpu_count()} cores'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--model', default='lseg-lite', help='name of a model, or path of one')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:1 (default: cpu)')
    parser.add_argument('--size', default='640x480', help='of the image (default: 640x480)')
    parser.add_argument('--repeats', type=int, default=50, help='images a row (default: 50)')
    return parser


if __name__ == '__main__':
    main()
