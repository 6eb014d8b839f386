# SPDX-License-Identifier: Apache-2.0
"""`make soak` ends in time, by a failure or by Ctrl-C, and reports what it did until then."""

from __future__ import annotations

import pytest

pytest.importorskip('hypothesis')
fuzz_rounds = pytest.importorskip('fuzz_rounds')
run_soak = pytest.importorskip('run_soak')

CONFTEST = """\
from collections import Counter
import pytest
from hypothesis import settings

settings.register_profile('soak', deadline=None, database=None)

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


def figures(folder):
    """Fuzz with the tests of a folder for a second; return the results by name."""
    results = []
    fuzz_rounds.run_fuzz(10**6, 1.0, 0, results, [folder])
    return {result.name: result for result in results}


def test_round_ends_in_mid_test_with_its_counts(tmp_path):
    (tmp_path / 'conftest.py').write_text(CONFTEST)
    (tmp_path / 'test_fuzz_endless.py').write_text(ENDLESS)
    results = figures(tmp_path)
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
    results = figures(tmp_path)
    assert not results['rounds that failed'].is_right


INTERRUPTING = """\
import os, signal
from hypothesis import given, strategies as st

@given(number=st.integers())
def test_numbers(tally, number):
    tally['messages'] += 1
    if tally['messages'] == 5:
        os.kill(os.getppid(), signal.SIGINT)
"""


def test_ctrl_c_ends_the_run_with_the_table_so_far(tmp_path, monkeypatch, ctrl_c):
    (tmp_path / 'conftest.py').write_text(CONFTEST)
    (tmp_path / 'test_fuzz_interrupting.py').write_text(INTERRUPTING)
    monkeypatch.setattr(fuzz_rounds, 'TESTS', [tmp_path])
    table = tmp_path / 'soak' / 'soak.txt'
    assert run_soak.main(['--part', 'fuzz', '--out', str(table)]) == 130
    lines = dict(line.split(maxsplit=2)[1:] for line in table.read_text().splitlines() if line.startswith('fuzz '))
    assert int(lines['messages']) >= 5
    assert 'interrupted' in table.read_text()
