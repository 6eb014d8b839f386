# SPDX-License-Identifier: Apache-2.0
"""A round of fuzz stops in time, in the middle of a test, and reports what it did until then."""

from __future__ import annotations

import pytest

pytest.importorskip('hypothesis')
fuzz_rounds = pytest.importorskip('fuzz_rounds')

CONFTEST = """\
from collections import Counter
import pytest
from hypothesis import settings

settings.register_profile('soak', max_examples=10**6, deadline=None, database=None)

@pytest.fixture(scope='session')
def tally():
    return Counter()
"""
ENDLESS = """\
import time
from hypothesis import given, strategies as st

@given(data=st.data())
def test_numbers(tally, data):
    data.draw(st.lists(st.integers()))
    time.sleep(0.01)
    tally['messages'] += 1
"""


def test_round_ends_in_mid_test_with_its_counts(tmp_path):
    (tmp_path / 'conftest.py').write_text(CONFTEST)
    (tmp_path / 'test_fuzz_endless.py').write_text(ENDLESS)
    results = {result.name: result for result in fuzz_rounds.run_fuzz(10**6, 1.0, 0, [tmp_path])}
    assert results['rounds'].value == '1' and results['rounds that failed'].is_right
    assert 0 < int(results['messages'].value) < 10**6


FAILING = """\
import time
from hypothesis import given, strategies as st

@given(number=st.integers())
def test_numbers(tally, number):
    tally['messages'] += 1
    time.sleep(0.6)
    raise ValueError('always')
"""


def test_failure_is_reported_though_time_is_up_before_it_is_simplified(tmp_path):
    (tmp_path / 'conftest.py').write_text(CONFTEST)
    (tmp_path / 'test_fuzz_failing.py').write_text(FAILING)
    results = {result.name: result for result in fuzz_rounds.run_fuzz(10**6, 1.0, 0, [tmp_path])}
    assert not results['rounds that failed'].is_right
