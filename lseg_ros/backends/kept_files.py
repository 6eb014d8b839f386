# SPDX-License-Identifier: Apache-2.0
"""Where backends keep what takes long to make: exported networks, engines and compiled code."""

from __future__ import annotations

import os
from pathlib import Path


def kept_files(backend: str) -> Path:
    """Return the folder of `backend`, which exists: in $XDG_CACHE_HOME, by default ~/.cache.

    Raise ValueError, naming the remedy, if it cannot be made.
    """
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'lseg_ros' / backend
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f'{folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder') from error
    return folder
