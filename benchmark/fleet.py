# SPDX-License-Identifier: Apache-2.0
"""Measure one node that serves the cameras of several robots, each a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from node_process import Process, running_node
from scenarios import USUAL_LABELS, VGA, label_set

ROBOT = Path(__file__).with_name('robot_camera.py')
DESCRIPTION = """\
Run one node and the cameras of several robots, each in a process of its own, at VGA. Print for
each robot how many images it sent, how many label images came back, and after how many
milliseconds; then the totals, and the node's use of the CPU in cores.

  python -m tools.pypi_ros run python benchmark/fleet.py
  python -m tools.pypi_ros run python benchmark/fleet.py --robots 16 --rate 30 --device cuda
"""


def main() -> None:
    """Measure; print a row for each robot and the totals."""
    args = _parser().parse_args()
    names = [f'robot{number}/front' for number in range(1, args.robots + 1)]
    parameters = {
        'model': args.model,
        'device': args.device,
        'labels': str([label.spec for label in label_set(USUAL_LABELS).classes if label.id]),
        'cameras': str(names),
        'image_transport': args.transport,
    }
    with running_node(parameters) as (client, _, process):
        client.bring_up()
        reports, cores = _drive(names, args, process)
    print(f'{"camera":<16}{"sent":>8}{"received":>10}{"p50 ms":>10}{"p95 ms":>10}')
    for name, report in zip(names, reports):
        print(
            f'{name:<16}{report["sent"]:>8}{report["received"]:>10}{report["p50_ms"]:>10.1f}{report["p95_ms"]:>10.1f}'
        )
    sent, received = (sum(report[key] for report in reports) for key in ('sent', 'received'))
    print(f'{received} of {sent} images, {received / args.seconds:.1f} a second; the node used {cores:.2f} cores')


def _drive(names: list[str], args: argparse.Namespace, process: Process) -> tuple[list[dict[str, float]], float]:
    """Run all cameras at the same time; return their reports and the node's CPU cores."""
    options = ('--rate', args.rate, '--seconds', args.seconds, '--transport', args.transport, '--size', *VGA)
    cameras = []
    for name in names:
        command = [str(part) for part in (sys.executable, ROBOT, name, *options)]
        cameras.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for camera in cameras:  # each says when it is ready
        camera.stdout.readline()
    before, started = process.cpu_s(), time.perf_counter()
    for camera in cameras:
        camera.stdin.write('\n')
        camera.stdin.flush()
    time.sleep(args.seconds)
    cores = (process.cpu_s() - before) / (time.perf_counter() - started)
    return [json.loads(camera.communicate()[0]) for camera in cameras], cores


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--robots', type=int, default=8, help='number of cameras (default: %(default)s)')
    parser.add_argument('--rate', type=float, default=5.0, help='images per second of each (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=20.0, help='how long to send (default: %(default)s)')
    parser.add_argument('--model', default='lseg-lite', help='name or path of a model (default: %(default)s)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:1')
    parser.add_argument('--transport', choices=('raw', 'compressed'), default='compressed', help='(%(default)s)')
    return parser


if __name__ == '__main__':
    main()
