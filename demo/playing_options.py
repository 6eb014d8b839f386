# SPDX-License-Identifier: Apache-2.0
"""The options of the programs that play the recorded drive."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

RECORDED_RATE = 5.0  # frames per second


def add_playing_options(parser: argparse.ArgumentParser, rate: float) -> None:
    """Add --output, and --rate with this default."""
    parser.add_argument('--output', type=Path, required=True, help='folder for the pictures')
    parser.add_argument(
        '--rate',
        type=_rate,
        default=rate,
        help=f'frames per second of each camera (default: %(default)s; recorded at {RECORDED_RATE:g})',
    )


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r} is not a rate: give a number above 0')
    return rate
