# SPDX-License-Identifier: Apache-2.0
"""Reads topics of ROS bags, images above all, with the library rosbags. Needs no ROS.

Supports rosbag2 folders and single files, sqlite3 and mcap, and ROS 1 bags.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.image.image import convert_color
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lseg_ros.error_text import one_line
from lseg_ros.media.bag_files import Record
from lseg_ros.media.bag_storage import BagStorage
from lseg_ros.media.ros_images import compressed_to_rgb, image_to_rgb, is_depth

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
TF_MESSAGE = 'tf2_msgs/msg/TFMessage'


class BagError(OSError):
    """A bag cannot be read or lacks the topic asked for; the message says why."""


@dataclass(frozen=True)
class BagImage:
    """An image of a bag: uint8 RGB [H, W, 3], its header, and its time of recording."""

    pixels: np.ndarray
    header: Any  # std_msgs/Header: stamp.sec, stamp.nanosec, frame_id
    recorded_ns: int


@dataclass(frozen=True)
class BagMessage:
    """A message of a bag, as rosbags decodes it, and its topic."""

    topic: str
    content: Any


class BagReader:
    """An open bag; also a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        """Open the bag; raise BagError if it is damaged or not a bag."""
        ros1 = path.suffix == '.bag' and path.is_file()
        types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
        if TF_MESSAGE not in types.types:  # in rosbags, only ROS 2 has it
            types.register(get_types_from_msg('geometry_msgs/TransformStamped[] transforms', TF_MESSAGE))
        self._deserialize = types.deserialize_ros1 if ros1 else types.deserialize_cdr
        with _as_bag_error():
            self._storage = BagStorage(path)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._storage.close()

    @property
    def damaged(self) -> list[str]:
        """Which files of a split bag are damaged, as far as it has been read, and why."""
        return self._storage.damaged

    def count(self, topic: str) -> int:
        """Return the number of messages of a topic."""
        return sum(each.count for each in self._storage.topics if each.name == topic)

    def topics(self, kind: str) -> list[str]:
        """Return the names of the topics of a message type, sorted."""
        return sorted({each.name for each in self._storage.topics if each.kind == kind})

    def messages(self, topics: Collection[str], faults: list[str]) -> Iterator[BagMessage]:
        """Yield the messages of some topics in the order of recording.

        Append to `faults` why others cannot be read. Raise BagError if the file is damaged.
        """
        with _as_bag_error():
            for record in self._storage.records(topics):
                try:
                    message = BagMessage(record.topic, self._message(record))
                except ValueError as error:
                    faults.append(f'{record.topic}: {error}')
                else:
                    yield message

    def first(self, topic: str) -> Any:
        """Return the first readable message of a topic; None without any."""
        return next((message.content for message in self.messages((topic,), [])), None)

    def image_topic(self, requested: str = '') -> str:
        """Return `requested`, or by default the only image topic that is not depth.

        Raise BagError, listing the topics, if `requested` is not an image topic, or if there is
        not exactly one to choose.
        """
        types = {each.name: each.kind for each in self._storage.topics}
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

    def images(self, topic: str, faults: list[str]) -> Iterator[BagImage]:
        """Yield the images of a topic; append to `faults` why others cannot be read.

        Raise BagError if the file is damaged.
        """
        for record in self._records(topic):
            try:
                message = self._message(record)
                pixels = to_rgb(message)
            except ValueError as error:
                faults.append(str(error))
            else:
                yield BagImage(pixels, message.header, record.recorded_ns)

    def _records(self, topic: str) -> Iterator[Record]:
        with _as_bag_error():
            for record in self._storage.records((topic,)):
                if record.kind in (IMAGE, COMPRESSED_IMAGE):
                    yield record

    def _message(self, record: Record) -> Any:
        try:
            return self._deserialize(record.data, record.kind)
        except Exception as error:  # damaged bytes can cause any exception in rosbags
            raise ValueError(f'damaged message of {len(record.data)} bytes') from error

    def _is_colour(self, topic: str) -> bool:
        """Return whether the first readable message of an image topic is a colour or grey image."""
        message = self.first(topic)
        return not shows_depth(message) if message else self.count(topic) > 0


@contextmanager
def _as_bag_error() -> Iterator[None]:
    """Turn any error that a damaged file causes in the library into a BagError."""
    try:
        yield
    except Exception as error:  # damaged bytes can cause any exception in rosbags
        raise BagError(f'not a readable bag, or cut short: {one_line(error)}') from error


def shows_depth(message: Any) -> bool:
    """Return whether an image message, raw or compressed, is depth."""
    return is_depth(message.format if message.__msgtype__ == COMPRESSED_IMAGE else message.encoding)


def to_rgb(message: Any) -> np.ndarray:
    """Return an image message, raw or compressed, as uint8 RGB [H, W, 3].

    Raise ValueError with the reason if it is not a valid colour or grey image.
    """
    if message.__msgtype__ == COMPRESSED_IMAGE:
        return compressed_to_rgb(message, _convert)
    return image_to_rgb(message, _convert)


def _convert(values: np.ndarray, encoding: str) -> np.ndarray:
    return convert_color(values, encoding, 'rgb8')
