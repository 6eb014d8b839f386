# SPDX-License-Identifier: Apache-2.0
"""Errors for frames and maps that a map cannot use, with a kind to count them by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Unusable(ValueError):
    """Something does not fit a map; the message says what, and `kind` names it in a few words."""

    def __init__(self, kind: str, message: str) -> None:
        """Take a kind that is the same for all errors that are counted together."""
        super().__init__(message)
        self.kind = kind


@contextmanager
def errors_of_kind(kind: str) -> Iterator[None]:
    """Raise any ValueError of the block as Unusable of this kind."""
    try:
        yield
    except ValueError as error:
        raise Unusable(kind, str(error)) from error
