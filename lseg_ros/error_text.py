# SPDX-License-Identifier: Apache-2.0
"""Errors as a user reads them."""

from __future__ import annotations

from collections import Counter

_NAMED = 4  # reasons; the others are only counted


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, or its type if it has none."""
    return ' '.join(filter(None, map(str.strip, str(error).splitlines()))) or type(error).__name__


def counted(drops: Counter[str]) -> str:
    """Return how often something was not used, by reason, the most frequent first."""
    common = drops.most_common(_NAMED)
    rest = drops.total() - sum(count for _, count in common)
    named = [f'{count} x {reason}' for reason, count in common]
    return '; '.join([*named, *([f'{rest} for other reasons'] if rest else [])])
