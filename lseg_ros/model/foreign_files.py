# SPDX-License-Identifier: Apache-2.0
"""Recognises, by its first bytes, a file that is not a usable weights file, and says what to do."""

from __future__ import annotations

import pickle
from pathlib import Path

DOWNLOAD = 'download or copy it again'

_BYTE_ORDER_MARK = b'\xef\xbb\xbf'
# torch.save wrote this number first before PyTorch 1.6.
_LEGACY_START = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
_STARTS = (
    (b'<', f'is a web page, not weights: read what it says, then {DOWNLOAD}'),
    (b'{', f'is text, perhaps a server error, not weights: {DOWNLOAD}'),
    (b'version https://git-lfs', 'is a Git LFS pointer, not weights: run git lfs pull'),
    (b'\x1f\x8b', 'is a gzip archive: unpack it'),
    (b'\xfd7zXZ', 'is an xz archive: unpack it'),
    (b'7z\xbc\xaf', 'is a 7-Zip archive: unpack it'),
    (
        _LEGACY_START,
        'is in the file format of PyTorch before 1.6, which lseg does not read: '
        "re-save it with torch.save(torch.load('OLD.ckpt'), 'NEW.ckpt')",
    ),
    (b'\x80', 'is a pickle that PyTorch did not write, so not weights'),
)


def describe_foreign(path: Path, error: Exception) -> str:
    """Return what the file at `path` seems to be, and the remedy, as the end of a sentence.

    `error` is the safetensors reader's, quoted if the file cannot be recognised.
    """
    with path.open('rb') as file:
        start = file.read(64)
    if not start:
        return f'is empty: {DOWNLOAD}'
    for prefix, problem in _STARTS:
        if start.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(prefix):
            return problem
    size = f'{path.stat().st_size:,} bytes'
    if start[8:9] == b'{':  # a safetensors header follows its 8-byte length
        return f'is a damaged or truncated safetensors file of {size} ({error}): {DOWNLOAD}'
    return f'is neither a PyTorch nor a safetensors file; it has {size} ({error}): {DOWNLOAD}'
