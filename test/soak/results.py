# SPDX-License-Identifier: Apache-2.0
"""The figures of a soak run, and whether they are as they must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
    widths = [max(len(getattr(each, field)) for each in results) for field in ('part', 'name')]
    return '\n'.join(
        f'{each.part:<{widths[0]}}  {each.name:<{widths[1]}}  {each.value}{"" if each.is_right else "   <- FAILED"}'
        for each in results
    )
