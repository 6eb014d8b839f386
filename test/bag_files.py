# SPDX-License-Identifier: Apache-2.0
"""Makes the small bags that tests read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_HUMBLE)
STORAGES = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}
PERIOD_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000
TRANSPORT_NS = 7  # between the stamp and the time of recording


def new(kind: str, **fields):
    """Return a message as rosbags has it."""
    return TYPES.types[kind](**fields)


def header(index: int):
    """Return the header of the picture with this index."""
    stamp = START_NS + index * PERIOD_NS
    return new(
        'std_msgs/msg/Header',
        frame_id='camera_optical',
        stamp=new('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9),
    )


def image(index: int, pixels: np.ndarray, encoding: str = 'rgb8', **changes):
    """Return an Image of [H, W] or [H, W, C] pixels."""
    height, width = pixels.shape[:2]
    fields = {
        'header': header(index),
        'height': height,
        'width': width,
        'encoding': encoding,
        'is_bigendian': 0,
        'step': pixels.nbytes // height,
        'data': np.ascontiguousarray(pixels).view(np.uint8).reshape(-1),
    }
    return new('sensor_msgs/msg/Image', **fields | changes)


def compressed(index: int, data: bytes, kind: str = 'png'):
    """Return a CompressedImage of encoded bytes."""
    return new('sensor_msgs/msg/CompressedImage', header=header(index), format=kind, data=np.frombuffer(data, np.uint8))


def camera_info(index: int, width: int, height: int):
    """Return the CameraInfo of a camera without distortion."""
    focal = 100.0
    matrix = np.array([focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1])
    return new(
        'sensor_msgs/msg/CameraInfo',
        header=header(index),
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=matrix,
        r=np.eye(3).ravel(),
        p=np.pad(matrix.reshape(3, 3), ((0, 0), (0, 1))).ravel(),
        binning_x=0,
        binning_y=0,
        roi=new('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def write_bag(path: Path, topics: dict[str, list], storage: str = 'sqlite3', period_ns: int = PERIOD_NS) -> Path:
    """Write the messages of each topic, the n-th of each at the n-th instant, in their order."""
    with Writer(path, version=8, storage_plugin=STORAGES[storage]) as writer:
        kinds = {topic: messages[0].__msgtype__ for topic, messages in topics.items()}
        connections = {topic: writer.add_connection(topic, kind, typestore=TYPES) for topic, kind in kinds.items()}
        for index in range(max(map(len, topics.values()))):
            for topic in (topic for topic, messages in topics.items() if index < len(messages)):
                data = TYPES.serialize_cdr(topics[topic][index], kinds[topic])
                writer.write(connections[topic], START_NS + index * period_ns + TRANSPORT_NS, data)
    return path


def cut(path: Path, share: float) -> None:
    """Keep only the first part of a file."""
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def pictures(count: int, size: tuple[int, int] = (40, 60)) -> list[np.ndarray]:
    """Return random pictures, uint8 RGB."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


def rgbd_topics(count: int = 3) -> dict[str, list]:
    """Return what an RGB-D camera gives."""
    return {
        '/camera/image_raw': [image(i, each) for i, each in enumerate(pictures(count))],
        '/camera/depth': [image(i, np.full((40, 60), 1000 + i, np.uint16), '16UC1') for i in range(count)],
        '/camera/camera_info': [camera_info(i, 60, 40) for i in range(count)],
    }
