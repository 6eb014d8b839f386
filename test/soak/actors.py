# SPDX-License-Identifier: Apache-2.0
"""Processes that are started, killed and started again, and what they report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
STOP_S = 60.0  # for a node to exit on a busy machine


class Actor:
    """A program of this folder; each line that it prints is a JSON object of its counts so far."""

    def __init__(self, program: str, *arguments: str) -> None:
        """Start the program."""
        self.name = program
        self.kills = 0
        self._command = [sys.executable, str(HERE / f'{program}.py'), *arguments]
        self._past: Counter[str] = Counter()  # of the processes before the present one
        self._present: Counter[str] = Counter()
        self._start()

    @property
    def pid(self) -> int:
        """The id of the present process."""
        return self._process.pid

    @property
    def counts(self) -> Counter[str]:
        """What all processes so far have reported."""
        return self._past + self._present

    @property
    def has_crashed(self) -> bool:
        """Whether the process has ended by itself."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End the process as nothing can prevent or notice: kill -9."""
        self._end(signal.SIGKILL)
        self.kills += 1

    def restart(self) -> None:
        """Start a new process after a `kill`."""
        self._start()

    def stop(self) -> int:
        """Interrupt the process; return its exit code, or that of SIGKILL if it does not exit."""
        return self._end(signal.SIGINT)

    def _start(self) -> None:
        paths = os.pathsep.join([str(HERE.parent), os.environ.get('PYTHONPATH', '')])
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': paths},
            start_new_session=True,  # Ctrl-C is for the campaign, which ends them all
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith('{') and line.endswith('}\n'):
                self._present = Counter(json.loads(line))

    def _end(self, number: int) -> int:
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join()
        self._past, self._present = self.counts, Counter()
        return code


def total(actors: Sequence[Actor]) -> Counter[str]:
    """Return the sum of what the actors have reported."""
    return sum((actor.counts for actor in actors), Counter())
