# SPDX-License-Identifier: Apache-2.0
"""Reads files of `torch.save` without executing anything in them.

The files that LSeg's authors publish (demo_e200, fss_l16, fss_rn101, pascal_fold*, coco_fold*)
are checkpoints of PyTorch Lightning 1.3 and 1.4. Their `callbacks` are keyed by a class of
Lightning, so `torch.load(weights_only=True)` refuses them, and without `weights_only` it would
run whatever code a file contains. Their optimizer state can be as large as the weights.

Here a pickle gets stand-ins for everything it names: those that describe a tensor, and one
that ignores all else. Neither torch nor any other package can be reached from it, and classes
that are not installed do no harm. Tensors stay on disk until `PickleFile.read`.
"""

from __future__ import annotations

import pickle
import reprlib
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from lseg_ros.model.foreign_files import DOWNLOAD

CHUNK = 1 << 20  # bytes read at a time

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
    """A file is damaged or not PyTorch's; the message is the end of a sentence about the file."""


class Storage(NamedTuple):
    """A one-dimensional array in a file, as the pickle names it."""

    key: str
    dtype: torch.dtype
    numel: int


class TensorView(NamedTuple):
    """A tensor in a file: a strided view of a storage, in elements.

    A tuple, because a pickle may set the attributes of any object that has some.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Opaque:
    """Stands for every other class or function that a pickle names, and for its results."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Ignore all arguments."""

    def __call__(self, *args: Any, **kwargs: Any) -> Opaque:
        """Stand for the result of the call too."""
        return self

    def _ignore(self, *args: Any) -> None:
        """Ignore the state or items that the pickle sets."""

    __setstate__ = __setitem__ = append = extend = add = _ignore


class PickleFile:
    """A file of `torch.save`: its `content`, with a TensorView in place of each tensor.

    The file stays open for `read` for as long as the object lives.
    """

    def __init__(self, path: str | Path) -> None:
        """Read everything but the tensors' data.

        Raise PickleError for a damaged file or one of another kind, OSError if it cannot be read.
        """
        self._file = Path(path).open('rb')  # noqa: SIM115 -- for as long as the archive
        try:
            self._archive = zipfile.ZipFile(self._file)
            self._root = _find_root(self._archive)
            program = self._archive.read(f'{self._root}data.pkl')
            self.content = _Unpickler(BytesIO(program)).load()
        except PickleError:
            raise
        except Exception as error:  # a damaged file can fail in any way
            raise PickleError(f'is truncated or damaged ({error}): {DOWNLOAD}') from error

    def read(self, view: TensorView) -> Tensor:
        """Return a tensor of the file, in memory of its own.

        Raise PickleError if its data are missing, damaged or too short.
        """
        storage = view.storage
        name = f'{self._root}data/{storage.key}'
        size = storage.numel * storage.dtype.itemsize
        # Checked before memory is allocated: the pickle may claim any size.
        if name not in self._archive.NameToInfo or self._archive.getinfo(name).file_size != size:
            raise PickleError(f'lacks the data of storage {storage.key}: {DOWNLOAD}')
        try:
            data = torch.empty(storage.numel, dtype=storage.dtype)
            memory = data.view(torch.uint8).numpy().data
            with self._archive.open(name) as source:  # verifies the checksum at the end
                for start in range(0, size, CHUNK):
                    memory[start : start + CHUNK] = source.read(CHUNK)
            return data.as_strided(view.shape, view.stride, view.offset).contiguous()
        except (EOFError, OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
            raise PickleError(f'has a damaged storage {storage.key} ({error}): {DOWNLOAD}') from error


def is_zip(path: Path) -> bool:
    """Return whether the file starts as a zip file, and so as one of `torch.save`."""
    with path.open('rb') as file:
        return file.read(4) == b'PK\x03\x04'


def _find_root(archive: zipfile.ZipFile) -> str:
    """Return the folder of the pickle in a file of `torch.save`; raise PickleError for others."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    names = [name for name in entries if name.endswith('/data.pkl')]
    if len(names) != 1:
        raise PickleError('is a zip file that PyTorch did not write: if the weights are inside, unpack it')
    root = names[0].removesuffix('data.pkl')
    if f'{root}constants.pkl' in entries:
        raise PickleError('is a TorchScript program, not weights: save the state dict instead')
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise PickleError(f'has been compressed since PyTorch wrote it: {DOWNLOAD}')
    if f'{root}byteorder' in entries and archive.read(f'{root}byteorder') != b'little':
        raise PickleError('was written on a big-endian machine: save it on a little-endian one')
    return root


class _Unpickler(pickle._Unpickler):
    """Unpickles with stand-ins for everything that the pickle names.

    Written in Python, unlike pickle.Unpickler, whose list of memorised objects can be made to
    fill the memory by a pickle of ten bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding='utf-8')

    def find_class(self, module: str, name: str) -> Any:
        if module in ('torch', 'torch.storage') and name in DTYPES:
            return DTYPES[name]
        return _KNOWN.get((module, name), Opaque)

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, numel = pid
        if kind != 'storage' or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise PickleError('has tensors of an unknown type')
        return Storage(key, dtype, _whole(numel))


def _rebuild_tensor(storage: Storage, offset: int, shape: Any, stride: Any, *_: Any) -> TensorView:
    """Describe a tensor; takes the arguments of torch._utils._rebuild_tensor and its v2."""
    if not isinstance(storage, Storage):
        raise PickleError('has a tensor without a storage')
    return TensorView(storage, _whole(offset), tuple(map(_whole, shape)), tuple(map(_whole, stride)))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    """Describe a parameter by its tensor."""
    return data


_KNOWN: MappingProxyType[tuple[str, str], Callable[..., Any]] = MappingProxyType(
    {
        ('collections', 'OrderedDict'): OrderedDict,
        ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
        ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
        ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
    }
)


def _whole(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise PickleError(f'has {reprlib.repr(number)} where a size should be')
    return number
