# SPDX-License-Identifier: Apache-2.0
"""ROS bags through the library rosbags: image topics read. Needs no ROS.

Read are rosbag2 folders and single files, sqlite3 and mcap, and ROS 1 bags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.image.image import convert_color
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from lseg_ros.media.ros_images import compressed_to_rgb, image_to_rgb

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_DEPTH_ENCODINGS = frozenset({'16UC1', '32FC1'})


class BagError(OSError):
    """A bag that cannot be read, or has no such topic; the text says why."""


@dataclass(frozen=True)
class BagMessage:
    """A message as it was recorded: its topic, when in nanoseconds, and its serialised bytes."""

    topic: str
    recorded_ns: int
    data: bytes


@dataclass(frozen=True)
class BagImage:
    """A picture of a bag: uint8 RGB [H, W, 3], its header, and when it was recorded."""

    pixels: np.ndarray
    header: Any  # std_msgs/Header: stamp.sec, stamp.nanosec, frame_id
    recorded_ns: int


class BagReader:
    """A bag that is open until `close`, also as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open it; raises BagError when it is not a bag or is damaged."""
        with self._readable():
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader.open()
        self._types = {each.topic: each.msgtype for each in self._reader.connections}

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    @property
    def types(self) -> dict[str, str]:
        """The message type of each topic, for example sensor_msgs/msg/Image."""
        return dict(self._types)

    def count(self, topics: Iterable[str]) -> int:
        """Return how many messages the topics have together."""
        return sum(each.msgcount for each in self._connections(topics))

    def image_topic(self, asked: str = '') -> str:
        """Return the topic `asked` for, or the only one with pictures for people.

        Depth images do not count.  Raises BagError, with the topics that there are, when `asked`
        is none of them, when there is no picture, and when there are several.
        """
        return self._choose('image', asked, (IMAGE, COMPRESSED_IMAGE), depth=False)

    def depth_topic(self, asked: str = '', under: str = '/') -> str | None:
        """Return the topic `asked` for, or the only one of depth images, or None without any.

        Looked for are those whose names begin with `under`.
        """
        if not asked and not self._candidates((IMAGE,), True, under):
            return None
        return self._choose('depth', asked, (IMAGE,), depth=True, under=under)

    def camera_info_topic(self, image_topic: str, asked: str = '') -> str | None:
        """Return the topic `asked` for, else the camera_info beside `image_topic`, or None."""
        if asked:
            return self._choose('camera_info', asked, (CAMERA_INFO,))
        parts = image_topic.split('/')
        beside = ('/'.join([*parts[:end], 'camera_info']) for end in range(len(parts) - 1, 0, -1))
        return next((topic for topic in beside if self._types.get(topic) == CAMERA_INFO), None)

    def messages(self, topics: Iterable[str]) -> Iterator[BagMessage]:
        """Iterate over the messages of some topics, as recorded; raises BagError on damage."""
        with self._readable():
            for connection, recorded_ns, data in self._reader.messages(self._connections(topics)):
                yield BagMessage(connection.topic, recorded_ns, bytes(data))

    def images(self, topic: str) -> Iterator[BagImage]:
        """Iterate over the pictures of a topic; raises BagError on damage or an odd encoding."""
        for message in self.messages([topic]):
            image = self._deserialize(message)
            try:
                pixels = _to_rgb(image, self._types[topic])
            except ValueError as error:
                raise BagError(f'{topic}: {error}') from error
            yield BagImage(pixels, image.header, message.recorded_ns)

    def _deserialize(self, message: BagMessage) -> Any:
        with self._readable():
            return self._reader.deserialize(message.data, self._types[message.topic])

    def _connections(self, topics: Iterable[str]) -> list[Connection]:
        wanted = set(topics)
        return [each for each in self._reader.connections if each.topic in wanted]

    def _choose(
        self,
        what: str,
        asked: str,
        types: tuple[str, ...],
        depth: bool | None = None,
        under: str = '/',
    ) -> str:
        if asked:
            if self._types.get(asked) not in types:
                raise BagError(f'no {what} topic {asked}; {self._list()}')
            return asked
        candidates = self._candidates(types, depth, under)
        if not candidates:
            raise BagError(f'no {what} topic; {self._list()}')
        if len(candidates) > 1:
            raise BagError(f'several {what} topics, choose one: {", ".join(candidates)}')
        return candidates[0]

    def _candidates(
        self, types: tuple[str, ...], depth: bool | None, under: str = '/'
    ) -> list[str]:
        return [
            topic
            for topic, kind in sorted(self._types.items())
            if kind in types and topic.startswith(under) and self._is_depth(topic) is depth
        ]

    def _is_depth(self, topic: str) -> bool | None:
        """Whether the first message of an image topic is depth; None for a topic without any."""
        message = next(self.messages([topic]), None)
        if message is None:
            return None
        image = self._deserialize(message)
        if self._types[topic] == COMPRESSED_IMAGE:
            return 'compressedDepth' in image.format
        return image.encoding in _DEPTH_ENCODINGS

    def _list(self) -> str:
        topics = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(self._types.items()))
        return f'it has {topics or "no topic at all"}'

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn whatever a damaged file makes the library raise into a BagError."""
        try:
            yield
        except BagError:
            raise
        except Exception as error:  # rosbags lets through whatever the storage raises
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise BagError(f'not a readable bag, or cut short: {reason}') from error


def _to_rgb(message: Any, kind: str) -> np.ndarray:
    if kind == COMPRESSED_IMAGE:
        return compressed_to_rgb(message)
    return image_to_rgb(message, _convert)


def _convert(values: np.ndarray, encoding: str) -> np.ndarray:
    return convert_color(values, encoding, 'rgb8')
