# SPDX-License-Identifier: Apache-2.0
"""What a process uses, from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Use:
    """Resident memory in MB, without mapped files; threads; open file descriptors."""

    memory_mb: float
    threads: int
    files: int


def use_of(pid: int) -> Use:
    """Return what the process `pid` uses; raise OSError if there is none."""
    folder = Path('/proc', str(pid))
    fields = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
    return Use(
        int(fields['RssAnon'].split()[0]) / 1024, int(fields['Threads']), sum(1 for _ in (folder / 'fd').iterdir())
    )
