# SPDX-License-Identifier: Apache-2.0
"""Whether a series of measurements grows: the slope of a line, and how certain it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = 12
_T_95 = 2.228  # of Student's distribution with BLOCKS - 2 degrees of freedom, both sides


@dataclass(frozen=True)
class Growth:
    """A slope per unit of time, with half the width of its 95 % confidence interval."""

    slope: float
    margin: float

    @property
    def least(self) -> float:
        """The lower end of the interval."""
        return self.slope - self.margin


def growth(times: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit a line to the means of blocks, since neighbouring measurements are not independent.

    Raise ValueError for fewer than two measurements per block.
    """
    if len(values) < 2 * BLOCKS:
        raise ValueError(f'{len(values)} measurements are too few: {2 * BLOCKS} are needed')
    x, y = (np.array([part.mean() for part in np.array_split(np.asarray(each), BLOCKS)]) for each in (times, values))
    spread = ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread
    rest = y - y.mean() - slope * (x - x.mean())
    return Growth(float(slope), float(_T_95 * np.sqrt((rest**2).sum() / (BLOCKS - 2) / spread)))
