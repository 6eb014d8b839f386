# SPDX-License-Identifier: Apache-2.0
"""What one camera of the segmentation node shows: its overlay, its label image and its depth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image

from lseg_ros.core.cameras import Camera
from lseg_ros.core.table_history import TableHistory
from lseg_ros.dashboard.readings import STALE_S, FrameMatcher, Reading
from lseg_ros.media import ros_images
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.conversions import image_to_rgb, stamp_ns
from lseg_ros.nodes.dashboard.feeds import Feed
from lseg_ros.nodes.dashboard.recorder import FrameRecord, Recorder
from lseg_ros.nodes.label_messages import label_set_from_message
from lseg_ros.nodes.latched import EVERY_TABLE

PICTURES_KEPT = 12  # an answer to a question comes some pictures after the one that it is about
SAME_STAMPS = 'the camera gives several images one stamp, so the files may be of different moments'
_numbers = count(1)  # of all cameras, so that no two pictures of a process have the same


@dataclass(frozen=True)
class OverlayPicture:
    """An image of a topic; `pixels` are uint8 [H, W, 3], RGB.

    It came at `arrived_s`, by time.monotonic. `number` tells it from all others, also if the camera
    does not stamp its images.
    """

    stamp_ns: int
    pixels: np.ndarray
    arrived_s: float = field(default_factory=time.monotonic)
    number: int = field(default_factory=lambda: next(_numbers))


class CameraFeeds:
    """The topics of one camera, subscribed to while they are wanted.

    Messages arrive in the executor's thread; the properties may be read in any thread.
    """

    def __init__(self, node: Node, target: str, camera: Camera, on_change: Callable[[], None]) -> None:
        """Prepare the topics of the segmentation node `target`.

        `on_change` is called when there is a new picture.
        """
        self._on_change = on_change
        self._depth_image: tuple[float, Image] | None = None  # and when it came, by time.monotonic
        self._forget()

        def output(kind: type, topic: str, on_message: Callable[[Any], None], *qos: Any) -> Feed:
            return Feed(node, kind, f'{target}/{camera.input(topic)}', on_message, *qos)

        self._live = (
            output(LabelSetMessage, 'label_set', self._take_table, EVERY_TABLE),
            output(Image, 'overlay', self._take_overlay),
            output(Image, 'label_image', partial(self._match, 'label_image')),
            output(Image, 'confidence', partial(self._match, 'confidence')),
        )
        self._depth = Feed(node, Image, camera.input('depth'), self._take_depth)
        self._recorder = Recorder(node, camera)

    @property
    def picture(self) -> OverlayPicture | None:
        """The newest picture of the overlay; None if none came lately."""
        return self._pictures[-1] if self._pictures else None

    def picture_at(self, stamp_ns: int) -> OverlayPicture | None:
        """Return the recent picture with a stamp; None if there is no such one, or several."""
        found = [picture for picture in self._pictures if picture.stamp_ns == stamp_ns]
        return found[0] if len(found) == 1 else None

    def want(self) -> None:
        """Keep the picture and the reading up to date for the next seconds."""
        for feed in self._live:
            feed.want()

    def want_depth(self) -> None:
        """Keep the depth up to date for the next seconds."""
        self._depth.want()

    def tend(self) -> None:
        """Subscribe and unsubscribe as wanted; call this in the executor's thread only."""
        for feed in (*self._live, self._depth, *self._recorder.feeds):
            feed.tend()
        if not self._depth.is_open:
            self._depth_image = None
        if not any(feed.is_open for feed in self._live):
            self._forget()

    def close(self) -> None:
        """Unsubscribe from everything; call this in the executor's thread only."""
        for feed in (*self._live, self._depth, *self._recorder.feeds):
            feed.close()
        self._forget()

    def _forget(self) -> None:
        """Drop what came before, which must not pass for what the camera sees later."""
        self._matcher = FrameMatcher('label_image', 'confidence')
        self._tables = TableHistory()
        self._pictures: tuple[OverlayPicture, ...] = ()  # of the overlay, the newest last
        self.reading: Reading | None = None

    def record(self) -> FrameRecord:
        """Return the next frame of which all parts have come; block for some seconds at most.

        Without one, return the present label image, the overlay if it has the same stamp, and what
        is missing; raise ValueError without a label image.
        """
        self.want()
        try:
            whole = self._recorder.record()
        except ValueError as error:
            return self._present_record(str(error))
        same = [picture for picture in self._pictures if picture.stamp_ns == whole.reading.stamp_ns]
        return replace(whole, missing=SAME_STAMPS) if len(same) > 1 else whole

    def _present_record(self, missing: str) -> FrameRecord:
        reading = self.reading
        if reading is None:
            raise ValueError('there is nothing to record: no label image has come yet')
        overlay = self.picture_at(reading.stamp_ns)
        if overlay is None:
            return FrameRecord(reading, None, None, f'{missing}; there is no overlay of this moment')
        return FrameRecord(reading, overlay.pixels, None, missing)

    def distance_at(self, x: float, y: float) -> float | None:
        """Return the depth in metres at a place, both coordinates 0 to 1.

        None if there is none, or none that came lately.
        """
        latest = self._depth_image
        if latest is None or latest[0] < time.monotonic() - STALE_S:
            return None
        try:
            depth = ros_images.image_to_depth(latest[1])
        except ValueError:
            return None
        height, width = depth.shape
        value = float(depth[min(int(y * height), height - 1), min(int(x * width), width - 1)])
        metres = value / 1000 if depth.dtype.kind == 'u' else value
        return metres if np.isfinite(metres) and metres > 0 else None

    def _take_table(self, message: LabelSetMessage) -> None:
        self._tables.add(stamp_ns(message.header), label_set_from_message(message))

    def _take_overlay(self, message: Image) -> None:
        picture = OverlayPicture(stamp_ns(message.header), image_to_rgb(message))
        self._pictures = (*self._pictures[1 - PICTURES_KEPT :], picture)
        self._recorder.take('overlay', picture.stamp_ns, picture)
        self._on_change()

    def _take_depth(self, message: Image) -> None:
        self._depth_image = time.monotonic(), message

    def _match(self, topic: str, message: Image) -> None:
        stamp = stamp_ns(message.header)
        frame = self._matcher.add(topic, stamp, message)
        labels = self._tables.at(stamp)
        if frame is None or labels is None:
            return
        ids, confidence = (ros_images.image_to_ids(frame[name]) for name in ('label_image', 'confidence'))
        if ids.shape != confidence.shape:
            raise ValueError(f'label image and confidence are of different sizes, {ids.shape} and {confidence.shape}')
        self.reading = Reading(stamp, ids, confidence, labels)
        self._recorder.take('reading', stamp, self.reading)
