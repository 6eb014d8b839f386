# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C for programs that have something to finish first, such as to save what they have done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noticed_interrupt(*others: signal.Signals) -> Iterator[threading.Event]:
    """Set the event on Ctrl-C, so that what runs can end well; a second one has its usual effect.

    `others` are signals with the same meaning, such as SIGTERM.
    """
    noticed = threading.Event()
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, *others)}

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def notice(*_: object) -> None:
        restore()
        noticed.set()

    for each, handler in before.items():
        if handler is not signal.SIG_IGN:  # as for a job in the background
            signal.signal(each, notice)
    try:
        yield noticed
    finally:
        restore()
