# SPDX-License-Identifier: Apache-2.0
"""Fuzz and churn the node and the commands for as long as you like, and report what came of it."""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from results import Result, table

PARTS = ('fuzz', 'churn')
FULL_MESSAGES = 100_000
FULL_CHANGES = 10_000
INTERRUPTED = 130  # the exit status of Ctrl-C in shells
DESCRIPTION = """\
Two parts, one after the other. Fuzz sends random messages and requests to the node, sound and
damaged, and random files to the commands, and compares every result with a known answer. Churn
changes the labels of two nodes while cameras, clients and nodes are killed and started again, and
checks every frame from outside. The exit status is 1 if anything was wrong. Ctrl-C ends the run
with the table so far and, if nothing was wrong until then, with status 130.

  make soak                                        the full size: hours
  make soak SOAK_ARGS="--scale 0.01"               a hundredth of it
  make soak SOAK_ARGS="--minutes 10 --part churn"  at most ten minutes of one part
  make soak SOAK_ARGS="--seed 7"                   the same random numbers as a run that printed 7
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, and print and write the table; return the exit status."""
    args = _parser().parse_args(arguments)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    print(f'seed {args.seed}, scale {args.scale:g}', flush=True)
    started = time.monotonic()
    results: list[Result] = []
    is_whole = _run_parts(args, results)
    failures = sum(not result.is_right for result in results)
    minutes = (time.monotonic() - started) / 60
    ending = f'{"" if is_whole else "interrupted after "}{minutes:.0f} minutes: {failures or "no"} failures'
    report = f'{table(results)}\n\nseed {args.seed}, scale {args.scale:g}, {ending}\n'
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(report)
    print(f'\n{report}also in {args.out}')
    return 1 if failures else (0 if is_whole else INTERRUPTED)


def _run_parts(args: argparse.Namespace, results: list[Result]) -> bool:
    """Run the parts and append to `results`; return False if they were interrupted."""
    part = ''
    try:
        for part in [args.part] if args.part else PARTS:
            if part == 'fuzz':
                from fuzz_rounds import run_fuzz

                run_fuzz(round(FULL_MESSAGES * args.scale), 60 * args.minutes, args.seed, results)
            else:
                from churn import run_churn

                run_churn(round(FULL_CHANGES * args.scale), 60 * args.minutes, args.seed, results)
    except KeyboardInterrupt:
        return False
    except Exception as error:  # the figures until then are worth showing
        traceback.print_exc()
        results.append(Result(part, 'ended by', f'{type(error).__name__}: {error}', is_right=False))
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--scale',
        type=float,
        default=1.0,
        help=f'share of {FULL_MESSAGES:,} messages and {FULL_CHANGES:,} label changes (default: %(default)s)',
    )
    parser.add_argument('--minutes', type=float, default=600.0, help='end each part after this (default: %(default)s)')
    parser.add_argument('--part', choices=PARTS, help='run only one part')
    parser.add_argument(
        '--out', type=Path, default=Path('soak_output/soak.txt'), help='file for the table (default: %(default)s)'
    )
    parser.add_argument(
        '--seed', type=int, default=random.randrange(10**6), help='of all random numbers (default: a new one)'
    )
    return parser


if __name__ == '__main__':
    for number in (signal.SIGINT, signal.SIGTERM):  # shells start background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    raise SystemExit(main())
