# SPDX-License-Identifier: Apache-2.0
"""Waits for a frame of which everything has come: image, overlay and label image of one stamp."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from lseg_ros.core.cameras import Camera
from lseg_ros.dashboard.readings import FrameMatcher, Reading
from lseg_ros.nodes.conversions import compressed_to_rgb, image_to_rgb, stamp_ns
from lseg_ros.nodes.dashboard.feeds import Feed

RECORD_S = 5.0
IMAGES_WAITING = 32  # for their label images
_Frame: TypeAlias = dict[Any, Any]


@dataclass(frozen=True)
class FrameRecord:
    """A frame of a camera. `overlay` and `image` are uint8 RGB [H, W, 3].

    `missing` says why one of them is None or may be of another moment.
    """

    reading: Reading
    overlay: np.ndarray | None
    image: np.ndarray | None
    missing: str = ''


class Recorder:
    """Subscribes to the image of a camera for as long as a record takes."""

    def __init__(self, node: Node, camera: Camera) -> None:
        """Prepare the topics of the images, raw and compressed."""
        take = self._take_image
        self.feeds = (
            Feed(node, Image, camera.input('image'), partial(take, image_to_rgb)),
            Feed(node, CompressedImage, camera.input('image/compressed'), partial(take, compressed_to_rgb)),
        )
        self._topic = node.resolve_topic_name(camera.input('image'))
        self._lock = threading.Lock()  # of the list of jobs, which each browser's thread changes
        self._jobs: tuple[tuple[FrameMatcher, Future[_Frame]], ...] = ()

    def take(self, part: str, stamp_ns: int, content: Any) -> None:
        """Take a part of a frame: its `overlay`, `reading` or `image`; in the executor's thread."""
        for matcher, done in self._jobs:
            frame = matcher.add(part, stamp_ns, content)
            if frame and not done.done():
                done.set_result(frame)

    def record(self) -> FrameRecord:
        """Return the next whole frame; raise ValueError, with the reason, after RECORD_S."""
        job = (FrameMatcher('overlay', 'reading', 'image', most=IMAGES_WAITING), Future[_Frame]())
        with self._lock:
            self._jobs = (*self._jobs, job)
        for feed in self.feeds:
            feed.want()
        try:
            frame = job[1].result(RECORD_S)
            decode, message = frame['image']
            return FrameRecord(frame['reading'], frame['overlay'].pixels, decode(message))
        except (FutureTimeoutError, TimeoutError):
            raise ValueError(
                f'no image with the stamp of a label image came on {self._topic}: remap image, as for the node'
            ) from None
        finally:
            with self._lock:
                self._jobs = tuple(each for each in self._jobs if each is not job)

    def _take_image(self, decode: Any, message: Any) -> None:
        self.take('image', stamp_ns(message.header), (decode, message))
