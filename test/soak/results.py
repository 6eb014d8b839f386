# SPDX-License-Identifier: Apache-2.0
"""The figures of a soak run, and whether they are as they must be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

LOG_S = 60.0  # between two lines of a bar that is written to a file


@dataclass(frozen=True)
class Result:
    """One figure; `is_right` is False if it shows a fault."""

    part: str
    name: str
    value: str
    is_right: bool = True


def nothing(part: str, name: str, count: int) -> Result:
    """Return the result of counting something that must not happen."""
    return Result(part, name, str(count), count == 0)


def something(part: str, name: str, count: int) -> Result:
    """Return the result of counting something that must have happened."""
    return Result(part, name, f'{count:,}', count > 0)


def table(results: Sequence[Result]) -> str:
    """Return the results as text, one per line, with a mark at those that show a fault."""
    widths = [max((len(getattr(each, field)) for each in results), default=0) for field in ('part', 'name')]
    return '\n'.join(
        f'{each.part:<{widths[0]}}  {each.name:<{widths[1]}}  {each.value}{"" if each.is_right else "   <- FAILED"}'
        for each in results
    )


def progress(part: str, goal: int, unit: str) -> tqdm:
    """Return a bar that shows how much of the goal has been reached."""
    return tqdm(total=goal, unit=unit, desc=part, mininterval=0.1 if sys.stderr.isatty() else LOG_S)
