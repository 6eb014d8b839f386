# SPDX-License-Identifier: Apache-2.0
"""Finds files outside the Python package: in the checkout, or installed below `share`."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_SHARE = Path('share') / 'lseg_ros'  # below the prefix of colcon or pip


def find_shared(relative: str) -> Path | None:
    """Return the path of `relative`, such as ``config/labels``; None if it is not installed."""
    roots = [_PACKAGE.parent, *(parent / _SHARE for parent in _PACKAGE.parents)]
    return next((root / relative for root in roots if (root / relative).exists()), None)
