# SPDX-License-Identifier: Apache-2.0
"""The options of the programs that play the recorded drive."""

from __future__ import annotations

import argparse
from pathlib import Path

from lseg_ros.number_options import NumberType

RECORDED_RATE = 5.0  # frames per second


def playing_parser(description: str | None, rate: float) -> argparse.ArgumentParser:
    """Return the parser of a program with --output, and --rate with this default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, required=True, help='folder for the pictures')
    parser.add_argument(
        '--rate',
        type=NumberType(above=0),
        default=rate,
        help=f'frames per second of each camera (default: %(default)s; recorded at {RECORDED_RATE:g})',
    )
    return parser
