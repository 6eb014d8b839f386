# SPDX-License-Identifier: Apache-2.0
"""How much of the heap is in use: unlike the resident memory, it grows only by what is kept."""

from __future__ import annotations

import ctypes
import gc

_FIELDS = (
    'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks', 'fordblks', 'keepcost',
)  # fmt: skip


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def heap_in_use() -> int:
    """Return the bytes that this process has allocated and not freed, after a collection.

    Raise AttributeError where the C library is not glibc 2.33 or newer.
    """
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)
