# SPDX-License-Identifier: Apache-2.0
"""The figures of `make soak`: growth is told from noise, and a fault from a fact."""

from __future__ import annotations

import numpy as np
import pytest
from growth import BLOCKS, growth
from heap import heap_in_use
from results import Result, nothing, something, table

NOISE = np.random.default_rng(0).normal(0, 1, 600)
TIMES = np.arange(600.0)


def test_noise_does_not_grow():
    found = growth(TIMES, 500 + NOISE)
    assert found.least < 0 < found.slope + found.margin


def test_slope_is_found_with_its_interval():
    found = growth(TIMES, 500 + 0.01 * TIMES + NOISE)
    assert 0 < found.least < 0.01 < found.slope + found.margin


def test_few_measurements_are_refused():
    with pytest.raises(ValueError, match='too few'):
        growth(TIMES[:BLOCKS], NOISE[:BLOCKS])


def test_table_marks_the_faults():
    results = [nothing('fuzz', 'crashes', 0), nothing('fuzz', 'wrong', 2), something('churn', 'frames', 0)]
    assert [line.endswith('<- FAILED') for line in table([*results, Result('churn', 'kills', '3')]).splitlines()] == [
        False, True, True, False,
    ]  # fmt: skip


def test_heap_in_use_counts_what_is_kept():
    before = heap_in_use()
    kept = bytearray(2**22)
    assert 2**22 <= heap_in_use() - before < 2**23
    kept.clear()
    assert abs(heap_in_use() - before) < 2**21
