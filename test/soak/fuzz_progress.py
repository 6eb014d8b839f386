# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that writes the counts of the fuzz tests as they run, and ends them in time."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.errors import HypothesisException

PERIOD_S = 0.5


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    parser.addoption('--counts', type=Path, required=True, help='JSON file to write')
    parser.addoption('--seconds', type=float, required=True, help='time for all tests')
    parser.addoption('--examples', type=int, required=True, help='maximum number of random examples per test')


@pytest.hookimpl(trylast=True)  # after hypothesis has chosen a profile, and before the tests look at it
def pytest_configure(config: pytest.Config) -> None:
    """Set the number of examples."""
    soak = settings.get_profile('soak')
    settings.register_profile('round', parent=soak, max_examples=config.getoption('--examples'))
    settings.load_profile('round')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each test look at the time before every example, and skip the rest once it is up."""
    end = time.monotonic() + config.getoption('--seconds')
    for item in items:
        handle = getattr(getattr(item, 'obj', None), 'hypothesis', None)
        if handle is not None:
            handle.inner_test = _until(end, handle.inner_test)


class _OutOfTime(KeyboardInterrupt):
    """Time is up; with the failure so far, if any. Hypothesis lets only this kind end a test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test that ran out of time, or report its failure."""
    try:
        return (yield)
    except _OutOfTime as error:
        (pytest.fail if error.args else pytest.skip)(f'out of time: {error}')


def _until(end: float, test: Callable[..., None]) -> Callable[..., None]:
    failures: list[str] = []  # which must not be forgotten while hypothesis looks for simpler ones

    @wraps(test)
    def run_in_time(*args: Any, **kwargs: Any) -> None:
        if time.monotonic() > end:
            raise _OutOfTime(*failures[:1])
        try:
            test(*args, **kwargs)
        except HypothesisException:
            raise
        except Exception as error:
            failures.append(f'{error!r} for {kwargs}')
            raise

    return run_in_time


@pytest.fixture(scope='session', autouse=True)
def written_counts(pytestconfig: pytest.Config, tally: Counter[str]) -> Iterator[None]:
    """Keep the file of counts up to date."""
    path = pytestconfig.getoption('--counts')
    end = threading.Event()

    def write() -> None:
        part = path.with_suffix('.part')
        part.write_text(json.dumps(tally.copy()))
        os.replace(part, path)

    def write_often() -> None:
        while not end.wait(PERIOD_S):
            write()

    thread = threading.Thread(target=write_often)
    thread.start()
    yield
    end.set()
    thread.join()
    write()
