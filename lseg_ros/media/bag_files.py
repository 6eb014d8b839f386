# SPDX-License-Identifier: Apache-2.0
"""One file of a bag: sqlite3 or MCAP, as rosbag2 writes them, or ROS 1."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lseg_ros.media.cut_mcap import ClosedMcap, whole_records
from lseg_ros.media.tolerant_readers import AnyDefinitionReader, AnySchemaReader, text

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'  # no serialized message starts like this


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


class _SqliteFile:
    damage = ''

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)
        self._database.text_factory = text
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
        self._reader = AnySchemaReader(source)
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
        self._reader = AnyDefinitionReader(path)
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


OPENERS: Mapping[str, Callable[[Path], StorageFile]] = {'.db3': _SqliteFile, '.mcap': _McapFile, '.bag': _Ros1File}
