# SPDX-License-Identifier: Apache-2.0
"""Tells from the structure of a video file whether it is complete."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_EBML = b'\x1a\x45\xdf\xa3'  # the first element of Matroska and WebM
_SEGMENT = b'\x18\x53\x80\x67'  # the element that contains all others
_RIFF = b'RIFF'  # the first chunk of AVI, which contains all others


def is_finished_mp4(path: Path) -> bool:
    """Return whether the file consists of whole boxes and ends with the frame table (moov)."""
    size, end, kind = path.stat().st_size, 0, b''
    with path.open('rb') as file:
        while end < size:
            file.seek(end)
            length, kind, long_length = struct.unpack('>I4sQ', file.read(16).ljust(16, b'\0'))
            end += max(long_length if length == 1 else length, 8)
    return end == size and kind == b'moov'


def missing_bytes(path: Path) -> int | None:
    """Return how many bytes a Matroska, WebM or AVI file lacks, according to its structure.

    Return None for a file that is damaged or was never finished, and for other formats.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        magic = file.read(4)
        end = {_EBML: _end_of_elements, _RIFF: _end_of_chunks}.get(magic, _unknown)(file, size)
    return None if end is None or end < size else end - size


def _unknown(_file: BinaryIO, _size: int) -> None:
    return None


def _end_of_elements(file: BinaryIO, size: int) -> int | None:
    """Return where the last EBML element ends, or None if one is damaged or has no length."""
    at = end = 0
    while at < size:
        file.seek(at)
        head = file.read(12).ljust(12, b'\0')
        name = 9 - head[0].bit_length()  # the leading zero bits encode the length of a number
        digits = 9 - head[name].bit_length() if name <= 4 else 9
        length = int.from_bytes(head[name : name + digits], 'big') & ((1 << 7 * digits) - 1)
        if digits > 8 or length == (1 << 7 * digits) - 1:
            return None
        at += name + digits
        end = max(end, at + length)
        at += 0 if head[:name] == _SEGMENT else length
    return end


def _end_of_chunks(file: BinaryIO, size: int) -> int | None:
    """Return where the last AVI chunk ends, or None if one is damaged or unfinished."""
    at = end = 0
    while at < size:
        file.seek(at)
        name, length = struct.unpack('<4sI', file.read(8).ljust(8, b'\0'))
        if not name.strip(b'\0') or (name == _RIFF and not length):
            return None
        end = max(end, at + 8 + length)
        at = at + 12 if name == _RIFF else at + 8 + length + length % 2
    return end
