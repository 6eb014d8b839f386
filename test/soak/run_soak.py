# SPDX-License-Identifier: Apache-2.0
"""Fuzz and churn the node and the commands for as long as you like, and report what came of it."""

from __future__ import annotations

import argparse
import os
import random
import time

from results import table

FULL_MESSAGES = 100_000
FULL_CHANGES = 10_000
DESCRIPTION = """\
Two parts, one after the other. Fuzz sends random messages and requests to the node, sound and
damaged, and random files to the commands, and compares every result with a known answer. Churn
changes the labels of two nodes while cameras, clients and nodes are killed and started again, and
checks every frame from outside. The exit status is 1 if anything was wrong.

  make soak                                        the full size: hours
  make soak SOAK_ARGS="--scale 0.01"               a hundredth of it
  make soak SOAK_ARGS="--minutes 10 --part churn"  at most ten minutes of one part
  make soak SOAK_ARGS="--seed 7"                   the same random numbers as a run that printed 7
"""


def main() -> int:
    """Run the parts; return 1 if any result shows a fault."""
    args = _parser().parse_args()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    print(f'seed {args.seed}, scale {args.scale:g}', flush=True)
    started = time.monotonic()
    results = []
    if args.part != 'churn':
        from fuzz_rounds import run_fuzz

        results += run_fuzz(round(FULL_MESSAGES * args.scale), 60 * args.minutes, args.seed)
    if args.part != 'fuzz':
        from churn import run_churn

        results += run_churn(round(FULL_CHANGES * args.scale), 60 * args.minutes, args.seed)
    print(f'\n{table(results)}')
    failures = sum(not result.is_right for result in results)
    print(f'\nseed {args.seed}, {(time.monotonic() - started) / 60:.0f} minutes: {failures or "no"} failures')
    return int(failures > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--scale',
        type=float,
        default=1.0,
        help=f'share of {FULL_MESSAGES:,} messages and {FULL_CHANGES:,} label changes (default: %(default)s)',
    )
    parser.add_argument('--minutes', type=float, default=600.0, help='end each part after this (default: %(default)s)')
    parser.add_argument('--part', choices=('fuzz', 'churn'), help='run only one part')
    parser.add_argument(
        '--seed', type=int, default=random.randrange(10**6), help='of all random numbers (default: a new one)'
    )
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
