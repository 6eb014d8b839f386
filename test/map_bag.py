# SPDX-License-Identifier: Apache-2.0
"""A bag of a robot that drives through the flat of the recorded drive."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from bag_files import camera_info, header, image, new, write_bag

from lseg_ros.media.sources import Recording, recorded_drive

FRAMES = range(0, 10, 2)  # a sofa is in view
CAMERA = 'camera_optical'
# From the optical frame to the robot's: x ahead, y left, z up; half a metre up and a bit ahead.
MOUNT = np.array([[0, 0, 1.0, 0.1], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1]])


@cache
def drive_topics() -> dict[str, list]:
    """Return topics of the front camera: five frames and the transforms of the robot."""
    recording = Recording(recorded_drive() / 'front')
    shots = [each for number, each in enumerate(islice(recording, FRAMES.stop)) if number in FRAMES]
    info = camera_info(0, recording.camera.width, recording.camera.height)
    info.k[:] = recording.camera.matrix
    return {
        '/camera/image_raw': [image(i, shot.image) for i, shot in enumerate(shots)],
        '/camera/depth': [image(i, shot.depth_mm, '16UC1') for i, shot in enumerate(shots)],
        '/camera/camera_info': [info],
        '/tf': [tf('map', 'base', shot.pose @ np.linalg.inv(MOUNT), i) for i, shot in enumerate(shots)],
        '/tf_static': [tf('base', CAMERA, MOUNT, 0)],
    }


def drive_bag(path: Path, changes: dict[str, list] | None = None, storage: str = 'sqlite3') -> Path:
    """Write the bag; `changes` are other messages for some topics, none to leave a topic out."""
    topics = drive_topics() | (changes or {})
    return write_bag(path, {topic: messages for topic, messages in topics.items() if messages}, storage)


def tf(parent: str, child: str, pose: np.ndarray, index: int):
    """Return a TFMessage with one transform, of the frame with this index."""
    axis = cv2.Rodrigues(pose[:3, :3])[0].ravel()
    angle = np.linalg.norm(axis)
    x, y, z = axis * np.sin(angle / 2) / max(angle, 1e-12)
    stamped = header(index)
    stamped.frame_id = parent
    transform = new(
        'geometry_msgs/msg/Transform',
        translation=new('geometry_msgs/msg/Vector3', **dict(zip('xyz', map(float, pose[:3, 3])))),
        rotation=new('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=float(np.cos(angle / 2))),
    )
    return new(
        'tf2_msgs/msg/TFMessage',
        transforms=[
            new('geometry_msgs/msg/TransformStamped', header=stamped, child_frame_id=child, transform=transform)
        ],
    )
