# SPDX-License-Identifier: Apache-2.0
"""Writes files that are either complete or absent, even if the disk fills up."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROBE = bytes(1 << 20)


@contextmanager
def whole_file(path: Path, suffix: str = '') -> Iterator[Path]:
    """Yield the path of a temporary file, which becomes `path` unless the body raises.

    The temporary file ends in `suffix`, for libraries that infer the format from it. An OSError
    names `path`.
    """
    part = path.with_name(f'{path.name}.part{suffix}')
    try:
        yield part
        part.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, part, str(part)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write bytes, or a text as UTF-8, to a `whole_file`."""
    with whole_file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def append_whole(path: Path, content: str) -> None:
    """Append a text to a file as UTF-8; if that raises OSError, the file is left unchanged."""
    with path.open('ab') as file:
        size = file.tell()
    try:
        with path.open('ab') as file:
            file.write(content.encode())
    except OSError:
        os.truncate(path, size)
        raise


def is_disk_full(error: OSError) -> bool:
    """Return whether a full disk, a quota or a size limit left no room for a file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_error(path: Path, problem: object) -> OSError:
    """Return the system error behind `problem`, which a library raised while writing `path`.

    If the library does not say, append to the file or folder to find out; remove it afterwards.
    """
    if isinstance(problem, OSError) and problem.errno:
        code = problem.errno
    elif found := re.search(r'os error (\d+)', str(problem)):  # as Rust writes it
        code = int(found[1])
    elif 'disk is full' in str(problem):  # as SQLite writes it
        code = errno.ENOSPC
    else:
        try:
            with (path / 'probe' if path.is_dir() else path).open('ab') as file:
                file.write(_PROBE)
        except OSError as error:
            return write_error(path, error)
        return OSError(f'{path} cannot be written: {problem}')
    return OSError(code, os.strerror(code), str(path))
