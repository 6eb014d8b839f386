# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C for commands that save what they have done so far."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noticed_interrupt() -> Iterator[threading.Event]:
    """Set the event on Ctrl-C, so that what runs can end well; raise on a second one."""
    noticed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def notice(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        noticed.set()

    if before is not signal.SIG_IGN:  # as for a job in the background
        signal.signal(signal.SIGINT, notice)
    try:
        yield noticed
    finally:
        signal.signal(signal.SIGINT, before)
