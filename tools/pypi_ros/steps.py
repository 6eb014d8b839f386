# SPDX-License-Identifier: Apache-2.0
"""Steps of a set-up that run once, and again when what they depend on has changed."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


class StepError(Exception):
    """A step failed; the text says which, why and what mends it."""


@dataclass(frozen=True)
class Step:
    """One step: what it does, what it depends on, and what to try when it fails.

    `product` is a path that exists once the step has been done.
    """

    name: str
    title: str
    inputs: str
    product: Path
    action: Callable[[], None]
    mend: str


def fingerprint(files: Iterable[Path], *texts: str) -> str:
    """Return a digest of the names and contents of files and of further texts."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(str(path).encode() + b'\0' + path.read_bytes() + b'\0')
    for text in texts:
        digest.update(text.encode() + b'\0')
    return digest.hexdigest()


def run_steps(steps: list[Step], stamps: Path) -> None:
    """Run each step whose inputs differ from the digest that `stamps` keeps of its last run.

    Raise StepError at the first step that fails; those before it stay done.
    """
    for number, step in enumerate(steps, 1):
        stamp = stamps / step.name
        label = f'[{number}/{len(steps)}] {step.title}'
        if step.product.exists() and stamp.is_file() and stamp.read_text() == step.inputs:
            print(f'{label}: up to date', flush=True)
            continue
        print(f'{label} ...', flush=True)
        started = time.monotonic()
        _run(step, label)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(step.inputs)
        print(f'{label}: done in {time.monotonic() - started:.0f} s', flush=True)


def _run(step: Step, label: str) -> None:
    try:
        step.action()
    except subprocess.CalledProcessError as error:
        raise StepError(f'{label} failed, exit status {error.returncode}.\n{step.mend}') from error
    except OSError as error:
        raise StepError(f'{label} failed: {error}.\n{step.mend}') from error
