# SPDX-License-Identifier: Apache-2.0
"""Fuzz: the tests of random input with many more examples, a process for each round."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from results import Result, nothing, progress
from tqdm import tqdm

PART = 'fuzz'
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TESTS = tuple(path for folder in ('test', 'lab/test') for path in sorted(ROOT.glob(f'{folder}/**/test_fuzz_*.py')))
POLL_S = 0.5
START_S = 30.0  # for a round to start, after which there must be time left to use it
STOP_S = 60.0  # for a round to end once it is interrupted
EXAMPLES = 200  # of each test in a round
INPUTS_PER_EXAMPLE = 45  # about as many messages and files as one example of every test has


def run_fuzz(inputs: int, seconds: float, seed: int, results: list[Result], tests: Sequence[Path] = ()) -> None:
    """Run rounds until so many messages and files have been tried, or for so many seconds.

    Append what came of it to `results`, also if this is interrupted.
    """
    rounds: list[Counter[str]] = []
    failed: list[str] = []
    end = time.monotonic() + seconds
    try:
        with progress(PART, inputs, 'message') as bar:

            def note(counts: Counter[str]) -> None:
                rounds[-1] = counts
                bar.update(sum(map(_inputs, rounds)) - bar.n)

            while bar.n < inputs and (not rounds or (rounds[-1] and time.monotonic() < end - START_S)):
                number = seed + len(rounds)
                rounds.append(Counter())
                examples = min(EXAMPLES, math.ceil((inputs - bar.n) / INPUTS_PER_EXAMPLE))
                if code := _round(tests or TESTS, number, examples, end - time.monotonic(), note):
                    failed.append(f'seed {number}, {examples} examples: exit code {code}')
    finally:
        results += _results(rounds, failed, inputs)


def _children_s() -> float:
    """Return the processor time that the processes of all rounds have taken."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def _inputs(counts: Counter[str]) -> int:
    return counts['messages'] + counts['files']


def _results(rounds: Sequence[Counter[str]], failed: Sequence[str], inputs: int) -> Iterator[Result]:
    counts = sum(rounds, Counter())
    yield Result(PART, 'messages and files', f'{_inputs(counts):,} of {inputs:,}')
    yield from (Result(PART, name, f'{count:,}') for name, count in sorted(counts.items()) if name != 'images failed')
    yield nothing(PART, 'images failed', counts['images failed'])
    yield Result(PART, 'rounds', str(len(rounds)))
    yield Result(PART, 'processor time', f'{_children_s() / 60:.1f} minutes')
    yield Result(PART, 'rounds that failed', '; '.join(failed) or '0', not failed)


def _round(
    tests: Sequence[Path], seed: int, examples: int, seconds: float, note: Callable[[Counter[str]], None]
) -> int:
    """Run the tests once, or for so many seconds, and `note` their counts meanwhile.

    Return their exit code, negative for a crash. An interrupt ends them first.
    """
    with tempfile.TemporaryDirectory() as folder:
        counts, output = Path(folder, 'counts.json'), Path(folder, 'output.txt')
        command = [sys.executable, '-m', 'pytest', *map(str, tests), '-q', '--no-header', '-p', 'no:cacheprovider']
        plugin = ['-p', 'fuzz_progress', f'--counts={counts}', f'--seconds={seconds}', f'--examples={examples}']
        paths = os.pathsep.join([str(HERE), os.environ.get('PYTHONPATH', '')])
        with (
            output.open('w') as file,
            subprocess.Popen(
                [*command, *plugin, f'--hypothesis-seed={seed}'],
                cwd=ROOT,
                stdout=file,
                stderr=file,
                env={**os.environ, 'PYTHONPATH': paths},
                start_new_session=True,  # Ctrl-C reaches this process only, which passes it on
            ) as process,
        ):
            try:
                while process.poll() is None:
                    time.sleep(POLL_S)
                    note(_read(counts))
            finally:
                _end(process)
                note(_read(counts))
        if process.returncode:
            tqdm.write(output.read_text())
        return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _read(path: Path) -> Counter[str]:
    with suppress(FileNotFoundError):
        return Counter(json.loads(path.read_text()))
    return Counter()
