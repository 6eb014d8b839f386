# SPDX-License-Identifier: Apache-2.0
"""Options of the command line that take a number in a range."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class NumberType:
    """The `type` of an argparse option that takes a finite number; the bounds are optional.

    `least` and `most` are allowed themselves, `above` and `below` are not.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    is_whole: bool = False

    def __call__(self, text: str) -> float:
        """Return the number; raise ArgumentTypeError, with the range, for anything else."""
        try:
            value = int(text) if self.is_whole else float(text)
        except ValueError:
            value = math.nan
        if not (abs(value) < math.inf and self._has(value)):
            raise argparse.ArgumentTypeError(f'{text!r} is not {self}')
        return value

    def _has(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Describe the range, such as 'a number above 0 and at most 1'."""
        kind = 'a whole number' if self.is_whole else 'a number'
        if self.least is not None and self.most is not None:
            return f'{kind} from {self.least} to {self.most}'
        bounds = {'of at least': self.least, 'above': self.above, 'at most': self.most, 'below': self.below}
        return f'{kind} ' + ' and '.join(f'{words} {bound}' for words, bound in bounds.items() if bound is not None)


def whole(least: int, most: int | None = None) -> NumberType:
    """Return the type of an option that takes whole numbers."""
    return NumberType(least, most, is_whole=True)


SEED = whole(0, 2**32 - 1)
SHARE = NumberType(0, 1)
