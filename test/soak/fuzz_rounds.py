# SPDX-License-Identifier: Apache-2.0
"""Fuzz: the tests of random input with many more examples, a process for each round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from results import Result, nothing
from tqdm import tqdm

PART = 'fuzz'
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TESTS = tuple(path for folder in ('test', 'lab/test') for path in sorted(ROOT.glob(f'{folder}/**/test_fuzz_*.py')))
POLL_S = 0.5
START_S = 30.0  # for a round to start, after which there must be time left to use it


def run_fuzz(messages: int, seconds: float, seed: int, tests: Sequence[Path] = TESTS) -> list[Result]:
    """Run rounds until so many messages and files have been tried, or for so many seconds."""
    counts: Counter[str] = Counter()
    failed = []
    end = time.monotonic() + seconds
    with tqdm(total=messages, unit='message', desc='fuzz') as bar:

        def show(found: Counter[str]) -> None:
            bar.update(_inputs(counts) + _inputs(found) - bar.n)

        while bar.n < messages and (not counts or time.monotonic() < end - START_S):
            number = seed + counts['rounds']
            code, found = _round(tests, number, end - time.monotonic(), show)
            counts.update(found | {'rounds': 1})
            failed += [f'seed {number}: exit code {code}'] if code else []
            if not found:
                break  # not even one test ran
    figures = [Result(PART, name, f'{count:,}') for name, count in sorted(counts.items()) if name != 'images failed']
    return [*figures, nothing(PART, 'images failed', counts['images failed']), *_verdict(failed)]


def _inputs(counts: Counter[str]) -> int:
    return counts['messages'] + counts['files']


def _verdict(failed: list[str]) -> list[Result]:
    return [Result(PART, 'rounds that failed', '; '.join(failed) or '0', not failed)]


def _round(
    tests: Sequence[Path], seed: int, seconds: float, show: Callable[[Counter[str]], None]
) -> tuple[int, Counter[str]]:
    """Run the tests once, or for so many seconds, and `show` their counts meanwhile.

    Return their exit code, negative for a crash, and the counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        counts, output = Path(folder, 'counts.json'), Path(folder, 'output.txt')
        command = [sys.executable, '-m', 'pytest', *map(str, tests), '-q', '--no-header', '-p', 'no:cacheprovider']
        options = ['--hypothesis-profile=soak', f'--hypothesis-seed={seed}']
        plugin = ['-p', 'fuzz_progress', f'--counts={counts}', f'--seconds={seconds}']
        paths = os.pathsep.join([str(HERE), os.environ.get('PYTHONPATH', '')])
        with (
            output.open('w') as file,
            subprocess.Popen(
                [*command, *options, *plugin],
                cwd=ROOT,
                stdout=file,
                stderr=file,
                env={**os.environ, 'PYTHONPATH': paths},
            ) as process,
        ):
            while process.poll() is None:
                time.sleep(POLL_S)
                show(_read(counts))
        if process.returncode:
            tqdm.write(output.read_text())
        return process.returncode, _read(counts)


def _read(path: Path) -> Counter[str]:
    with suppress(FileNotFoundError):
        return Counter(json.loads(path.read_text()))
    return Counter()
