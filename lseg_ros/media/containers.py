# SPDX-License-Identifier: Apache-2.0
"""Tells from the structure of a video file whether it is complete."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

_EBML = b'\x1a\x45\xdf\xa3'  # the first element of Matroska and WebM
_SEGMENT = b'\x18\x53\x80\x67'  # the element that contains all others
_CLUSTER = b'\x1f\x43\xb6\x75'  # some seconds of pictures and sound
_RIFF = b'RIFF'  # the first chunk of AVI, which contains all others
_OGG = b'OggS'  # each page of Ogg
_ASF = b'\x30\x26\xb2\x75'  # the first object of WMV
_PACK = b'\x00\x00\x01\xba'  # the first pack of an MPEG programme stream
_TRANSPORT_PACKET = 188  # bytes; each begins with _SYNC
_SYNC = b'G'
_LONGEST_HEAD = 282  # bytes, of a page of Ogg
_SHORTEST_PAGE = 27  # bytes
_LAST_PAGE = 4  # a flag of a page


class _Element(NamedTuple):
    """A part of a file: its length, and the distance to the next one, which may lie within it.

    The length includes the shortest next part if there must be one.
    """

    length: int
    step: int


def is_finished_mp4(path: Path) -> bool:
    """Return whether the file consists of whole boxes and ends with the frame table (moov)."""
    size, end, kind = path.stat().st_size, 0, b''
    with path.open('rb') as file:
        while end < size:
            file.seek(end)
            length, kind, long_length = struct.unpack('>I4sQ', file.read(16).ljust(16, b'\0'))
            end += max(long_length if length == 1 else length, 8)
    return end == size and kind == b'moov'


def is_cut(path: Path) -> bool | None:
    """Return whether a video file ends within one of its elements; None if that does not tell.

    It tells that a file is cut in MP4, Matroska, WebM, AVI, WMV, Ogg, and MPEG programme and
    transport streams, and that it is whole in Matroska, WebM and AVI. It does not tell for a file
    that is damaged or was never finished, nor between two elements, but for Ogg, whose last page
    says that it is the last.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(_LONGEST_HEAD)
        if head[:1] == head[_TRANSPORT_PACKET:][:1] == _SYNC:
            return True if size % _TRANSPORT_PACKET else None
        magic = head[4:8] if head[4:8] == b'ftyp' else head[:4]
        end = _end_of_elements(file, size, _ELEMENTS.get(magic, _unknown))
    if end is None or end < size:
        return None
    if end == size and magic not in (_EBML, _RIFF):
        return None
    return end > size


def _end_of_elements(file: BinaryIO, size: int, read: Callable[[bytes], _Element | None]) -> int | None:
    """Return where the last element should end; None if one is damaged or has no length."""
    at = end = 0
    while at < size:
        file.seek(at)
        element = read(file.read(_LONGEST_HEAD).ljust(_LONGEST_HEAD, b'\0'))
        if element is None:
            return None
        end = max(end, at + element.length)
        at += element.step
    return end


def _unknown(_head: bytes) -> None:
    return None


def _ebml_element(head: bytes) -> _Element | None:
    name = 9 - head[0].bit_length()  # the leading zero bits encode the length of a number
    digits = 9 - head[name].bit_length() if name <= 4 else 9
    if digits > 8:
        return None
    start = name + digits
    length = int.from_bytes(head[name:start], 'big') & ((1 << 7 * digits) - 1)
    if length == (1 << 7 * digits) - 1:  # not known when a live recording wrote it
        return _Element(start, start) if head[:name] in (_SEGMENT, _CLUSTER) else None
    return _Element(start + length, start if head[:name] == _SEGMENT else start + length)


def _riff_chunk(head: bytes) -> _Element | None:
    name, length = struct.unpack('<4sI', head[:8])
    if not name.strip(b'\0') or (name == _RIFF and not length):
        return None
    return _Element(8 + length, 12 if name == _RIFF else 8 + length + length % 2)


def _mp4_box(head: bytes) -> _Element | None:
    length, _, long_length = struct.unpack('>I4sQ', head[:16])
    length = long_length if length == 1 else length
    return _Element(length, length) if length >= 8 else None


def _asf_object(head: bytes) -> _Element | None:
    (length,) = struct.unpack('<Q', head[16:24])
    return _Element(length, length) if length >= 24 else None


def _ogg_page(head: bytes) -> _Element | None:
    segments = head[26]
    length = _SHORTEST_PAGE + segments + sum(head[27 : 27 + segments])
    next_page = 0 if head[5] & _LAST_PAGE else _SHORTEST_PAGE
    return _Element(length + next_page, length) if head[:4] == _OGG else None


def _programme_packet(head: bytes) -> _Element | None:
    """Read a pack header, of MPEG-2 or MPEG-1, the end code or a packet with a length."""
    if head[:4] == _PACK:
        length = 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
    else:
        length = 4 if head[3] == 0xB9 else 6 + int.from_bytes(head[4:6], 'big')
    return _Element(length, length) if head[:3] == _PACK[:3] and head[3] >= 0xB9 else None


_ELEMENTS: dict[bytes, Callable[[bytes], _Element | None]] = {
    _EBML: _ebml_element,
    _RIFF: _riff_chunk,
    b'ftyp': _mp4_box,
    _ASF: _asf_object,
    _OGG: _ogg_page,
    _PACK: _programme_packet,
}
