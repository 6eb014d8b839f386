# SPDX-License-Identifier: Apache-2.0
"""The files of ROS bags: sqlite3 and MCAP, single or in a rosbag2 folder, and ROS 1 bags.

Message definitions are not read, so that an unreadable one does not affect other topics.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from types import FunctionType
from typing import Any, Protocol

import yaml
from rosbags import rosbag1
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag1 import reader as rosbag1_reader
from rosbags.rosbag2 import storage_mcap

from lseg_ros.error_text import one_line
from lseg_ros.media.cut_mcap import ClosedMcap, whole_records

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'  # no serialized message starts like this
_SUFFIXES = ('.db3', '.mcap', '.db3.zstd', '.mcap.zstd')


@dataclass(frozen=True)
class Topic:
    """A topic: its name, message type (with the serialization, unless CDR) and message count."""

    name: str
    kind: str
    count: int


@dataclass(frozen=True)
class Record:
    """A serialized message, its topic and type, and its time of recording."""

    recorded_ns: int
    topic: str
    kind: str
    data: bytes


class StorageFile(Protocol):
    """An open file of a bag."""

    topics: list[Topic]
    damage: str  # how much can be read of a file that was cut short; empty if all

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        """Yield the messages of some topics in the order of recording."""

    def close(self) -> None:
        """Close the file."""


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
    openers: dict[str, Callable[[Path], StorageFile]] = {'.db3': _SqliteFile, '.mcap': _McapFile, '.bag': _Ros1File}
    if path.suffix not in openers:
        raise ValueError(f'{path.name} is not one of {", ".join(openers)}')
    file = openers[path.suffix](path)
    stack.callback(file.close)
    return file


def _decompressed(path: Path, stack: ExitStack) -> Path:
    target = Path(stack.enter_context(TemporaryDirectory())) / path.stem
    with zstd.open(path, 'rb') as source, target.open('wb') as sink:
        shutil.copyfileobj(source, sink)
    return target


class _SqliteFile:
    damage = ''

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)
        self._database.text_factory = _text
        rows = self._database.execute(
            'SELECT topics.id, name, type, serialization_format, count(messages.id) FROM topics '
            'LEFT JOIN messages ON topics.id = messages.topic_id GROUP BY topics.id'
        )
        self._by_id = {number: Topic(name, _kind(*kind), count) for number, name, *kind, count in rows}
        self.topics = list(self._by_id.values())

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        numbers = [number for number, each in self._by_id.items() if each.name in topics]
        places = ', '.join('?' * len(numbers))
        query = f'SELECT timestamp, topic_id, data FROM messages WHERE topic_id IN ({places}) ORDER BY timestamp'
        for recorded_ns, number, data in self._database.execute(query, numbers):
            topic = self._by_id[number]
            yield Record(recorded_ns, topic.name, topic.kind, _plain(data))

    def close(self) -> None:
        self._database.close()


class _McapFile:
    def __init__(self, path: Path) -> None:
        whole = whole_records(path)
        self.damage = f'{whole} of its {path.stat().st_size} bytes can be read' if whole else ''
        source: Any = ClosedMcap(path, whole) if whole else path
        self._reader = _AnySchemaReader(source)
        self._reader.open()
        self._by_id = {each.id: Topic(each.topic, _kind_of(each), each.msgcount) for each in self._reader.connections}
        self.topics = list(self._by_id.values())
        if whole and not self.topics:
            raise ValueError('no message is whole')

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        connections = [each for each in self._reader.connections if each.topic in topics]
        if connections:
            for connection, recorded_ns, data in self._reader.messages(connections):
                yield Record(recorded_ns, connection.topic, self._by_id[connection.id].kind, _plain(data))

    def close(self) -> None:
        self._reader.close()


class _Ros1File:
    damage = ''

    def __init__(self, path: Path) -> None:
        self._reader = _AnyDefinitionReader(path)
        self._reader.open()
        self.topics = [Topic(each.topic, each.msgtype, each.msgcount) for each in self._reader.connections]

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        connections = [each for each in self._reader.connections if each.topic in topics]
        if connections:
            for connection, recorded_ns, data in self._reader.messages(connections):
                yield Record(recorded_ns, connection.topic, connection.msgtype, data)

    def close(self) -> None:
        self._reader.close()


def _kind_of(connection: Any) -> str:
    return _kind(connection.msgtype, connection.ext.serialization_format)


def _kind(kind: str, serialization: str) -> str:
    return kind if serialization == 'cdr' else f'{kind} as {serialization}'


def _plain(data: bytes) -> bytes:
    return zstd.decompress(data) if data.startswith(_ZSTD_MAGIC) else data


def _text(data: bytes) -> str:
    return data.decode(errors='replace')


def _calling(function: Any, **others: Any) -> Any:
    """Return a copy of a function of rosbags with the globals named in `others` replaced."""
    return FunctionType(function.__code__, {**function.__globals__, **others})


_NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
_IGNORING_SCHEMAS = {
    'get_msgdef': lambda _: _NO_DEFINITION,
    'get_qos': lambda _: [],
    'read_string': lambda source: _text(storage_mcap.read_bytes(source)),
}


class _AnySchemaReader(storage_mcap.McapReader):
    """Ignores schemas; the library raises KeyError or UnicodeDecodeError for an unknown one."""

    read_index = _calling(storage_mcap.McapReader.read_index, **_IGNORING_SCHEMAS)
    meta_scan = _calling(storage_mcap.McapReader.meta_scan, **_IGNORING_SCHEMAS)


class _AnyTextHeader(rosbag1_reader.Header):
    def get_string(self, name: str) -> str:
        return _text(self[name])


class _AnyDefinitionReader(rosbag1.Reader):
    """Accepts message definitions that are not UTF-8, for which the library refuses the bag."""

    read_connection = _calling(rosbag1.Reader.read_connection, Header=_AnyTextHeader)
