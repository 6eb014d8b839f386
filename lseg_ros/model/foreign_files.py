# SPDX-License-Identifier: Apache-2.0
"""What is often found where weights should be, told by how the file starts, and the mend."""

from __future__ import annotations

from pathlib import Path

DOWNLOAD = 'download or copy it again'

_STARTS = (
    (b'<', f'is a web page, not weights: {DOWNLOAD}, and mind what the page says'),
    (b'{', f'is text, perhaps an answer of a server, not weights: {DOWNLOAD}'),
    (b'version https://git-lfs', 'is a Git LFS pointer, not weights: run git lfs pull'),
    (b'\x1f\x8b', 'is packed by gzip: unpack it'),
    (b'\xfd7zXZ', 'is packed by xz: unpack it'),
    (b'7z\xbc\xaf', 'is packed by 7-Zip: unpack it'),
)


def describe_foreign(path: Path, error: Exception) -> str:
    """Say what the file at `path`, which is no safetensors file, seems to be, and the mend.

    `error` is what the reader of safetensors said, for a file that cannot be recognised.
    """
    with path.open('rb') as file:
        start = file.read(64)
    size = f'{path.stat().st_size:,} bytes'
    if not start:
        return f'is empty: {DOWNLOAD}'
    for prefix, problem in _STARTS:
        if start.removeprefix(b'\xef\xbb\xbf').lstrip().startswith(prefix):
            return problem
    if start[8:9] == b'{':  # where safetensors have their table, after its length
        return f'is a damaged or truncated safetensors file of {size} ({error}): {DOWNLOAD}'
    return f'is neither a PyTorch nor a safetensors file; it has {size} ({error}): {DOWNLOAD}'
