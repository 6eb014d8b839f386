# SPDX-License-Identifier: Apache-2.0
"""Reads PyTorch's files without running anything that is in them.

A pickle is a program: it names functions and calls them. Here it gets only stand-ins: those that
describe a tensor, and one that swallows everything else. Nothing of torch or of any other
package is reachable, so files of unknown origin are safe, and classes that are not installed
(PyTorch Lightning's, say) do no harm. Tensors stay on disk until they are read.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from lseg_ros.model.foreign_files import DOWNLOAD

ZIP_START = b'PK\x03\x04'
# How torch.save without zip (before PyTorch 1.6) starts: this number, then the version.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001

DTYPES = MappingProxyType(
    {
        'DoubleStorage': torch.float64,
        'FloatStorage': torch.float32,
        'HalfStorage': torch.float16,
        'BFloat16Storage': torch.bfloat16,
        'LongStorage': torch.int64,
        'IntStorage': torch.int32,
        'ShortStorage': torch.int16,
        'CharStorage': torch.int8,
        'ByteStorage': torch.uint8,
        'BoolStorage': torch.bool,
    }
)


class PickleError(ValueError):
    """A file is not PyTorch's, or damaged; the text says what is wrong."""


class Storage(NamedTuple):
    """A run of numbers in a file, as the pickle names it."""

    key: str
    dtype: torch.dtype
    numel: int


class TensorView(NamedTuple):
    """A tensor in a file: which elements of a storage, by whole-number strides.

    A tuple, because a pickle may set the attributes of anything that has some.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the elements."""
        return self.storage.dtype


class Opaque:
    """Stands for any class or function that a pickle names, and for all that comes of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take whatever the pickle gives, and keep nothing."""

    def __call__(self, *args: Any, **kwargs: Any) -> Opaque:
        """Stand for the result of the call too."""
        return self

    def _swallow(self, *args: Any) -> None:
        """Ignore what the pickle puts into the object."""

    __setstate__ = __setitem__ = append = extend = add = _swallow


@dataclass(frozen=True)
class _Span:
    """Where the bytes of a storage are; crc is that of a zip file."""

    start: int
    length: int
    crc: int | None = None


class PickleFile:
    """What `torch.save` wrote: `content`, with a TensorView for each tensor, and its numbers."""

    def __init__(self, path: str | Path) -> None:
        """Read everything but the tensors' numbers.

        Raises PickleError for any other file and a damaged one, OSError if it cannot be read.
        """
        self.path = Path(path)
        with self.path.open('rb') as file:
            try:
                read = _read_zip if file.read(4) == ZIP_START else _read_legacy
                file.seek(0)
                self.content, self._spans = read(file)
            except PickleError:
                raise
            except Exception as error:  # a damaged pickle can fail in any way
                raise PickleError(f'is damaged or truncated ({error}): {DOWNLOAD}') from error

    def read(self, view: TensorView) -> Tensor:
        """Return a tensor of the file, in memory of its own.

        Raises PickleError where the file lacks the numbers or their checksum is wrong.
        """
        storage, dtype = view.storage, view.dtype
        span = self._spans.get(storage.key)
        if span is None or span.length != storage.numel * dtype.itemsize:
            raise PickleError(f'lacks the numbers of storage {storage.key}: {DOWNLOAD}')
        numbers = torch.empty(storage.numel, dtype=dtype)
        self._fill(numbers, span)
        try:
            return numbers.as_strided(view.shape, view.stride, view.offset).contiguous()
        except RuntimeError as error:
            raise PickleError(
                f'has a tensor beyond its storage {storage.key}: {DOWNLOAD}'
            ) from error

    def _fill(self, numbers: Tensor, span: _Span) -> None:
        if not span.length:
            return
        memory = memoryview(numbers.view(torch.uint8).numpy())
        with self.path.open('rb', buffering=0) as file:
            file.seek(span.start)
            done = 0
            while done < span.length:
                count = file.readinto(memory[done:])
                if not count:
                    raise PickleError(f'is truncated: {DOWNLOAD}')
                done += count
        if span.crc is not None and zlib.crc32(memory) != span.crc:
            raise PickleError(f'is damaged, a checksum is wrong: {DOWNLOAD}')


def is_pickle(path: Path) -> bool:
    """Return whether the file starts as one that torch.save wrote."""
    with path.open('rb') as file:
        return file.read(4).startswith((ZIP_START, b'\x80'))


class _Unpickler(pickle.Unpickler):
    """Gives a pickle stand-ins in the place of everything that it asks for by name."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding='utf-8')
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module in ('torch', 'torch.storage') and name in DTYPES:
            return DTYPES[name]
        return _KNOWN.get((module, name), Opaque)

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, numel = pid[:5]
        if kind != 'storage' or not isinstance(dtype, torch.dtype):
            raise PickleError('holds numbers of an unknown kind')
        if len(pid) > 5 and pid[5] is not None:
            raise PickleError('shares storages between tensors in a way that is not supported')
        storage = Storage(str(key), dtype, _whole(numel))
        return self.storages.setdefault(storage.key, storage)


def _rebuild_tensor(storage: Storage, offset: int, shape: Any, stride: Any, *_: Any) -> TensorView:
    """Describe a tensor; takes what torch._utils._rebuild_tensor and its second version do."""
    if not isinstance(storage, Storage):
        raise PickleError('has a tensor without a storage')
    return TensorView(
        storage, _whole(offset), tuple(map(_whole, shape)), tuple(map(_whole, stride))
    )


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    """Describe a parameter by its tensor."""
    return data


_KNOWN: MappingProxyType[tuple[str, str], Callable] = MappingProxyType(
    {
        ('collections', 'OrderedDict'): OrderedDict,
        ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
        ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
        ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
    }
)


def _whole(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise PickleError(f'has {number!r} where a size should be')
    return number


def _read_zip(file: BinaryIO) -> tuple[Any, dict[str, _Span]]:
    """Read a file of PyTorch 1.6 and later: a zip of a pickle and one entry a storage."""
    if not zipfile.is_zipfile(file):
        size = file.seek(0, SEEK_END)
        raise PickleError(f'is truncated: it ends after {size:,} bytes: {DOWNLOAD}')
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        names = [name for name in entries if name.endswith('/data.pkl')]
        if len(names) != 1:
            raise PickleError(
                'is a zip file, but not one that PyTorch wrote: unpack it, if the weights are in it'
            )
        root = names[0].removesuffix('data.pkl')
        if f'{root}constants.pkl' in entries:
            raise PickleError('is a TorchScript program, not weights: give the state dict')
        if archive.read(names[0]) and any(
            entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()
        ):
            raise PickleError('was packed anew with compression: ' + DOWNLOAD)
        if f'{root}byteorder' in entries and archive.read(f'{root}byteorder') != b'little':
            raise PickleError('was written on a big-endian machine')
        content = _Unpickler(BytesIO(archive.read(names[0]))).load()
    prefix = f'{root}data/'
    return content, {
        name.removeprefix(prefix): _zip_span(file, entry)
        for name, entry in entries.items()
        if name.startswith(prefix)
    }


def _zip_span(file: BinaryIO, entry: zipfile.ZipInfo) -> _Span:
    """Find an entry's bytes: they follow its own header, whose length is only in it."""
    file.seek(entry.header_offset + 26)
    name, extra = (int.from_bytes(file.read(2), 'little') for _ in range(2))
    return _Span(entry.header_offset + 30 + name + extra, entry.file_size, entry.CRC)


def _read_legacy(file: BinaryIO) -> tuple[Any, dict[str, _Span]]:
    """Read a file from before PyTorch 1.6: pickles, then the storages in a row."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if _Unpickler(file).load() != LEGACY_MAGIC or _Unpickler(file).load() != LEGACY_VERSION:
        raise PickleError('is a pickle, but not one that PyTorch wrote, so not weights')
    _Unpickler(file).load()  # the sizes of C's types on the machine that wrote it
    unpickler = _Unpickler(file)
    content = unpickler.load()
    spans = {}
    for key in _Unpickler(file).load():
        length = int.from_bytes(file.read(8), 'little') * unpickler.storages[key].dtype.itemsize
        spans[key] = _Span(file.tell(), length)
        end = file.seek(length, SEEK_CUR)
        if end > size:
            raise PickleError(f'is truncated: it ends after {size:,} bytes: {DOWNLOAD}')
    return content, spans
