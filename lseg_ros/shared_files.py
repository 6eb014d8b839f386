# SPDX-License-Identifier: Apache-2.0
"""Files that lie beside the Python package: in the checkout, or installed below `share`."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_SHARE = Path('share') / 'lseg_ros'  # below the prefix that colcon, or pip, installs to


def find_shared(relative: str) -> Path | None:
    """Return the path of `relative`, for example ``config/labels``; None where it is not there."""
    roots = [_PACKAGE.parent, *(parent / _SHARE for parent in _PACKAGE.parents)]
    return next((root / relative for root in roots if (root / relative).exists()), None)
