# SPDX-License-Identifier: Apache-2.0
"""Fuzz: the tests of random input with many more examples, a process for each round."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from results import Result, nothing
from tqdm import tqdm

PART = 'fuzz'
ROOT = Path(__file__).parents[2]


def run_fuzz(messages: int, seconds: float, seed: int) -> list[Result]:
    """Run rounds until so many messages and files have been tried, or for so many seconds."""
    counts: Counter[str] = Counter()
    failed = []
    with tqdm(total=messages, unit='message', desc='fuzz') as bar:
        while bar.n < messages and bar.format_dict['elapsed'] < seconds:
            number = seed + counts['rounds']
            code, found = _round(number)
            counts.update(found | {'rounds': 1})
            failed += [f'seed {number}: exit code {code}'] if code else []
            if not found:
                break  # not even one test ran
            bar.update(counts['messages'] + counts['files'] - bar.n)
    figures = [Result(PART, name, f'{count:,}') for name, count in sorted(counts.items()) if name != 'images failed']
    return [*figures, nothing(PART, 'images failed', counts['images failed']), *_verdict(failed)]


def _verdict(failed: list[str]) -> list[Result]:
    return [Result(PART, 'rounds that failed', '; '.join(failed) or '0', not failed)]


def _round(seed: int) -> tuple[int, Counter[str]]:
    """Run the tests once; return their exit code, negative for a crash, and their counts."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, 'report.xml')
        command = [sys.executable, '-m', 'pytest', '-m', 'fuzz', '-q', '--no-header', '-p', 'no:cacheprovider']
        options = ['--hypothesis-profile=soak', f'--hypothesis-seed={seed}', f'--junitxml={report}']
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            tqdm.write(done.stdout + done.stderr)
        return done.returncode, _counts(report) if report.is_file() else Counter()


def _counts(report: Path) -> Counter[str]:
    found = ElementTree.parse(report).iterfind('.//testsuite/properties/property')
    pairs = ((each.get('name', ''), each.get('value', '')) for each in found)
    return Counter({name: int(value) for name, value in pairs if value.isdecimal()})
