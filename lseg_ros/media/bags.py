# SPDX-License-Identifier: Apache-2.0
"""Reads image topics of ROS bags with the library rosbags. Needs no ROS.

Supports rosbag2 folders and single files, sqlite3 and mcap, and ROS 1 bags.
"""

from __future__ import annotations

from collections.abc import Iterator
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
_DEPTH_ENCODINGS = frozenset({'16UC1', '32FC1'})


class BagError(OSError):
    """A bag cannot be read or lacks the topic asked for; the message says why."""


@dataclass(frozen=True)
class BagImage:
    """An image of a bag: uint8 RGB [H, W, 3], its header, and its time of recording."""

    pixels: np.ndarray
    header: Any  # std_msgs/Header: stamp.sec, stamp.nanosec, frame_id
    recorded_ns: int


class BagReader:
    """An open bag; also a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        """Open the bag; raise BagError if it is damaged or not a bag."""
        with _as_bag_error():
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader.open()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def count(self, topic: str) -> int:
        """Return the number of messages of a topic."""
        return sum(each.msgcount for each in self._connections(topic))

    def image_topic(self, requested: str = '') -> str:
        """Return `requested`, or by default the only image topic that is not depth.

        Raise BagError, listing the topics, if `requested` is not an image topic, or if there is
        not exactly one to choose.
        """
        types = {each.topic: str(each.msgtype) for each in self._reader.connections}
        images = [topic for topic, kind in types.items() if kind in (IMAGE, COMPRESSED_IMAGE)]
        listing = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(types.items()))
        if requested:
            if requested not in images:
                raise BagError(f'no image topic {requested}; it has {listing or "no topics"}')
            return requested
        candidates = [topic for topic in sorted(images) if self._is_colour(topic)]
        if not candidates:
            raise BagError(f'no image topic; it has {listing or "no topics"}')
        if len(candidates) > 1:
            raise BagError(f'several image topics, choose one: {", ".join(candidates)}')
        return candidates[0]

    def images(self, topic: str) -> Iterator[BagImage]:
        """Yield the images of a topic; raise BagError for damage or an unknown encoding."""
        for message, recorded_ns in self._messages(topic):
            try:
                pixels = _to_rgb(message)
            except ValueError as error:
                raise BagError(f'{topic}: {error}') from error
            yield BagImage(pixels, message.header, recorded_ns)

    def _messages(self, topic: str) -> Iterator[tuple[Any, int]]:
        """Yield the messages of a topic and their times of recording."""
        with _as_bag_error():
            for connection, recorded_ns, data in self._reader.messages(self._connections(topic)):
                yield self._reader.deserialize(data, connection.msgtype), recorded_ns

    def _connections(self, topic: str) -> list[Connection]:
        return [each for each in self._reader.connections if each.topic == topic]

    def _is_colour(self, topic: str) -> bool:
        """Return whether the first message of an image topic is a colour or grey image."""
        for message, _ in self._messages(topic):
            if message.__msgtype__ == COMPRESSED_IMAGE:
                return 'compressedDepth' not in message.format
            return message.encoding not in _DEPTH_ENCODINGS
        return False


@contextmanager
def _as_bag_error() -> Iterator[None]:
    """Turn any error that a damaged file causes in the library into a BagError."""
    try:
        yield
    except Exception as error:  # rosbags passes on whatever its storage raises
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise BagError(f'not a readable bag, or cut short: {reason}') from error


def _to_rgb(message: Any) -> np.ndarray:
    if message.__msgtype__ == COMPRESSED_IMAGE:
        return compressed_to_rgb(message)
    return image_to_rgb(message, _convert)


def _convert(values: np.ndarray, encoding: str) -> np.ndarray:
    return convert_color(values, encoding, 'rgb8')
