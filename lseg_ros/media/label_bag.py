# SPDX-License-Identifier: Apache-2.0
"""Writes segmentations to a ROS bag with the library rosbags. Needs no ROS."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from rosbags import interfaces
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lseg_ros.core.segmenter import Segmentation
from lseg_ros.labels import LabelSet
from lseg_ros.media.inputs import is_bag_folder
from lseg_ros.whole_files import write_error

# Of vision_msgs 4, which rosbags does not include.
_VISION_MSGS = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    'vision_msgs/msg/LabelInfo': 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n',
}
_UNSET = interfaces.QosTime(0, 0)
_LATCHED = interfaces.Qos(
    history=interfaces.QosHistory.KEEP_LAST,
    depth=1,
    reliability=interfaces.QosReliability.RELIABLE,
    durability=interfaces.QosDurability.TRANSIENT_LOCAL,
    deadline=_UNSET,
    lifespan=_UNSET,
    liveliness=interfaces.QosLiveliness.SYSTEM_DEFAULT,
    liveliness_lease_duration=_UNSET,
    avoid_ros_namespace_conventions=False,
)


def storage_of(bag: Path) -> StoragePlugin:
    """Return the storage format of a bag; sqlite3 for a ROS 1 bag."""
    has_mcap = any(bag.glob('*.mcap*')) if is_bag_folder(bag) else bag.suffix == '.mcap'
    return StoragePlugin.MCAP if has_mcap else StoragePlugin.SQLITE3


class LabelBagWriter:
    """Writes a bag with the topics of the node; also a context manager that closes it.

    No folder is left if an error, such as a full disk, prevents the bag from being finished.

    They are `/lseg/label_image`, `/lseg/confidence` and, as a single message, `/lseg/label_info`.
    The images have the header and the time of recording of the camera images.
    """

    def __init__(self, path: Path, labels: LabelSet, threshold: float, storage: StoragePlugin) -> None:
        """Create the folder `path`; raise FileExistsError if it exists, OSError if it cannot be."""
        if path.exists():
            raise FileExistsError(f'{path} already exists: remove it or give another --output')
        self._labels = labels
        self._threshold = threshold
        self._types = get_typestore(Stores.ROS2_HUMBLE)
        for name, text in _VISION_MSGS.items():
            self._types.register(get_types_from_msg(text, name))
        self._path = path
        self._info_written = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(path, version=8, storage_plugin=storage)  # as Iron and later
        with self._discarded_on_error():
            self._writer.open()
            self._label_image = self._connect('label_image', 'sensor_msgs/msg/Image')
            self._confidence = self._connect('confidence', 'sensor_msgs/msg/Image')
            self._label_info = self._connect('label_info', 'vision_msgs/msg/LabelInfo', [_LATCHED])

    def __enter__(self) -> LabelBagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the bag; remove one without results. Raise OSError if the disk is full."""
        if self._writer.storage is None:  # closed, or discarded
            return
        with self._discarded_on_error():
            if self._info_written:
                self._writer.close()
            else:
                self._discard()

    def write(self, header: Any, recorded_ns: int, segmentation: Segmentation) -> None:
        """Append the result for an image from its std_msgs/Header and time of recording.

        Raise OSError if the disk is full.
        """
        with self._discarded_on_error():
            if not self._info_written:
                self._write(self._label_info, recorded_ns, self._info())
                self._info_written = True
            self._write(self._label_image, recorded_ns, self._image(header, segmentation.ids))
            self._write(self._confidence, recorded_ns, self._image(header, segmentation.confidence))

    @contextmanager
    def _discarded_on_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            cause = write_error(self._path, error)
            self._discard()
            raise cause from error

    def _discard(self) -> None:
        with suppress(OSError, sqlite3.Error):
            self._writer.abort()
        shutil.rmtree(self._path, ignore_errors=True)

    def _connect(self, name: str, kind: str, qos: list[interfaces.Qos] | None = None) -> interfaces.Connection:
        return self._writer.add_connection(f'/lseg/{name}', kind, typestore=self._types, offered_qos_profiles=qos or [])

    def _write(self, connection: interfaces.Connection, recorded_ns: int, message: Any) -> None:
        data = self._types.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, recorded_ns, data)

    def _image(self, header: Any, pixels: np.ndarray) -> Any:
        height, width = pixels.shape
        return self._new(
            'sensor_msgs/msg/Image',
            header=self._header(header.stamp.sec, header.stamp.nanosec, header.frame_id),
            height=height,
            width=width,
            encoding='mono8',
            is_bigendian=0,
            step=width,
            data=pixels.reshape(-1),
        )

    def _info(self) -> Any:
        classes = [
            self._new('vision_msgs/msg/VisionClass', class_id=label.id, class_name=label.name)
            for label in self._labels.classes
        ]
        return self._new(
            'vision_msgs/msg/LabelInfo', header=self._header(0, 0, ''), class_map=classes, threshold=self._threshold
        )

    def _header(self, sec: int, nanosec: int, frame_id: str) -> Any:
        stamp = self._new('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)
        return self._new('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)

    def _new(self, kind: str, **fields: Any) -> Any:
        return self._types.types[kind](**fields)
