# SPDX-License-Identifier: Apache-2.0
"""Reads MCAP files whose end is missing, as after a power failure, up to the last whole record."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rosbags.rosbag2 import storage_mcap

_MCAP_MAGIC = b'\x89MCAP0\r\n'
_MCAP_END = b'\x02' + (20).to_bytes(8, 'little') + bytes(20) + _MCAP_MAGIC  # a footer that points to no summary
_ZEROS, _FOOTER, _CHUNK, _DATA_END = 0x00, 0x02, 0x06, 0x0F  # opcodes of records; 0 is none
_HEAD = 9  # bytes of opcode and length


def whole_records(path: Path) -> int:
    """Return how many bytes of an MCAP file without an end are whole records of data; else 0.

    After a power failure, the tail of a file may be zeros. They may begin within the last record,
    so this counts only if it is a chunk whose checksum is right.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        if size < 2 * len(_MCAP_MAGIC) or file.read(len(_MCAP_MAGIC)) != _MCAP_MAGIC:
            return 0
        file.seek(-len(_MCAP_MAGIC), io.SEEK_END)
        if file.read() == _MCAP_MAGIC:
            return 0
        place = last = chunk = len(_MCAP_MAGIC)  # the next record, the last one, and the last chunk
        while True:
            head = _head(file, place)
            after = place + _HEAD + int.from_bytes(head[1:], 'little')
            if len(head) < _HEAD or head[0] in (_ZEROS, _DATA_END, _FOOTER) or after > size:
                break
            last, place = place, after
            chunk = last if head[0] == _CHUNK else chunk
        right = _is_right(file, chunk)
        if right is False:
            return chunk
        before_zeros = head[:1] == bytes([_ZEROS])
        return last if before_zeros and not (right and chunk == last) else place


def _head(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.read(_HEAD)


def _is_right(file: BinaryIO, place: int) -> bool | None:
    """Return whether a chunk agrees with its checksum; None for one without, or another record."""
    if _head(file, place)[:1] != bytes([_CHUNK]):
        return None
    try:
        _, _, size, checksum = struct.unpack('<QQQI', file.read(28))
        compression = storage_mcap.read_string(file)
        storage_mcap.decompress(storage_mcap.read_sized(file), compression, size, checksum)
    except Exception:  # damaged bytes can cause any exception in the libraries
        return False
    return True if checksum else None


@dataclass(frozen=True)
class ClosedMcap:
    """An MCAP file up to `length`, with an end behind it; it is opened like a path."""

    path: Path
    length: int

    def open(self, mode: str) -> io.BufferedReader:
        """Open the file, as Path.open."""
        return io.BufferedReader(_WithEnd(self.path.open(mode, buffering=0), self.length))


class _WithEnd(io.RawIOBase):
    def __init__(self, file: Any, length: int) -> None:
        self._file, self._length, self._place = file, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._length + len(_MCAP_END))[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        left = self._length - self._place
        if left > 0:
            self._file.seek(self._place)
            data = self._file.read(min(left, len(buffer)))
        else:
            data = _MCAP_END[-left : len(buffer) - left]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
