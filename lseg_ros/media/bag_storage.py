# SPDX-License-Identifier: Apache-2.0
"""The files of a bag, read as one: a single file, or those of a rosbag2 folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from heapq import merge
from operator import attrgetter
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import yaml

from lseg_ros.error_text import one_line
from lseg_ros.media.bag_files import OPENERS, Record, StorageFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SUFFIXES = ('.db3', '.mcap', '.db3.zstd', '.mcap.zstd')


class BagStorage:
    """The files of a bag, read as one; `damaged` says which of several are damaged, and why."""

    def __init__(self, path: Path) -> None:
        """Open the bag; if no file can be opened, raise the error of the last one."""
        paths = _files_of(path)
        self.damaged: list[str] = []
        self._files: dict[str, StorageFile] = {}
        with ExitStack() as stack:
            for each in paths:
                try:
                    file = self._files[each.name] = _open(each, stack)
                except Exception as error:  # damaged bytes can cause any exception in the libraries
                    self._report(each.name, one_line(error))
                    if len(self.damaged) == len(paths):
                        raise
                else:
                    if file.damage:
                        self._report(each.name, file.damage)
            self._stack = stack.pop_all()
        self.topics = [topic for file in self._files.values() for topic in file.topics]

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        """Yield the messages of some topics in the order of recording."""
        yield from merge(*(self._records_of(name, topics) for name in self._files), key=attrgetter('recorded_ns'))

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def _records_of(self, name: str, topics: Collection[str]) -> Iterator[Record]:
        try:
            yield from self._files[name].records(topics)
        except Exception as error:
            if len(self._files) == 1:
                raise
            self._report(name, one_line(error))

    def _report(self, name: str, reason: str) -> None:
        problem = f'{name} is damaged, or cut short: {reason}'
        if problem not in self.damaged:
            self.damaged.append(problem)


def _files_of(path: Path) -> list[Path]:
    """Return the files that metadata.yaml lists or, without a list, all in the folder."""
    if not path.is_dir():
        return [path]
    try:
        facts = yaml.safe_load((path / 'metadata.yaml').read_text(encoding='utf-8'))
        names = [PurePath(name).name for name in facts['rosbag2_bagfile_information']['relative_file_paths'] or ()]
    except (OSError, RecursionError, ValueError, yaml.YAMLError, KeyError, TypeError):
        names = []
    found = sorted(file for file in path.iterdir() if file.name.endswith(_SUFFIXES))
    files = [path / name for name in names] or found
    if not files:
        raise FileNotFoundError(f'no {" or ".join(_SUFFIXES[:2])} file in {path}')
    return files


def _open(path: Path, stack: ExitStack) -> StorageFile:
    if not path.is_file():
        raise FileNotFoundError(f'metadata.yaml lists {path.name}, which is missing')
    if path.suffix == '.zstd':
        path = _decompressed(path, stack)
    if path.suffix not in OPENERS:
        raise ValueError(f'{path.name} is not one of {", ".join(OPENERS)}')
    file = OPENERS[path.suffix](path)
    stack.callback(file.close)
    return file


def _decompressed(path: Path, stack: ExitStack) -> Path:
    target = Path(stack.enter_context(TemporaryDirectory())) / path.stem
    with zstd.open(path, 'rb') as source, target.open('wb') as sink:
        shutil.copyfileobj(source, sink)
    return target
