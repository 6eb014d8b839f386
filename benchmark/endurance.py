# SPDX-License-Identifier: Apache-2.0
"""Send many frames through the real node and watch its memory for growth."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from node_process import Camera, running_node
from scenarios import VGA, picture

DESCRIPTION = """\
Send frames through the real node one at a time and print the node's memory ten times on the way.
It must stay flat after the first tenth.

  python -m tools.pypi_ros run python benchmark/endurance.py
  python -m tools.pypi_ros run python benchmark/endurance.py --frames 100000 --device cuda
"""


def main() -> int:
    """Run the frames; return 1 if memory grew by more than --allowed-mb after the first tenth."""
    args = _parser().parse_args()
    image = picture(VGA)
    step = max(1, args.frames // 10)
    memory = []
    with running_node({'device': args.device}) as (client, node, process):
        client.bring_up()
        camera = Camera(node)
        for number in tqdm(range(1, args.frames + 1), unit='frame'):
            camera.segment(image)
            if number % step == 0:
                memory.append(process.memory_mb('VmRSS'))
                tqdm.write(f'{number:>8} frames  {memory[-1]:8.1f} MB')
    growth = memory[-1] - memory[0]
    print(f'growth after the first {step} frames: {growth:.1f} MB')
    return int(growth > args.allowed_mb)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--frames', type=int, default=10_000, help='(default: %(default)s)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:1')
    parser.add_argument('--allowed-mb', type=float, default=16.0, help='acceptable growth in MB (default: %(default)s)')
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
