# SPDX-License-Identifier: Apache-2.0
"""The publishers of one camera: its frames, sent after the label tables that explain them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from lseg_ros.core.cameras import MASKS, Camera
from lseg_ros.core.embedding import ImageEmbedding
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.labels import LabelSet
from lseg_ros.labels.syntax import topic_name
from lseg_ros.media.overlay import overlay_with_legend
from lseg_ros.msg import Embedding
from lseg_ros.nodes.conversions import array_to_image, embedding_to_message
from lseg_ros.nodes.segmentation.frames import Frame
from lseg_ros.nodes.segmentation.label_tables import LabelTables, await_delivery
from lseg_ros.nodes.transport import DEFAULT_MEMORY

FRAME_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
RECENT_S = 5.0
# An executor that waits for events of a publisher fails with InvalidHandle if another thread
# destroys the publisher, and masks come and go in the thread that changes the labels.
_NO_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)


class Outputs:
    """The publishers of one camera, behind a gate that stops all frames while it is shut.

    Only topics with subscribers are computed and sent. Messages with ids wait at the gate for
    consumers that lack the `tables`. All methods are thread-safe, but only the stream's thread
    may publish, and only the session's may call `add_masks` and `remove_masks`.
    """

    def __init__(self, node: Node, camera: Camera) -> None:
        """Create the publishers on `node`, with the gate shut."""
        self._node = node
        self._camera = camera
        self._gate = threading.Lock()  # also guards the masks
        self._is_open = False
        self._masks: dict[str, Publisher] = {}
        self._large: dict[str, tuple[int, float]] = {}  # by topic: bytes of a message, and when
        # First, so that consumers learn of the tables before the frames.
        self.tables = LabelTables(node, camera)
        self._label_image = self._create(Image, 'label_image', FRAME_QOS)
        self._confidence = self._create(Image, 'confidence', FRAME_QOS)
        self._overlay = self._create(Image, 'overlay', FRAME_QOS)
        self._camera_info = self._create(CameraInfo, 'camera_info', FRAME_QOS)
        self._points = self._create(PointCloud2, 'points', FRAME_QOS)
        self._embedding = self._create(Embedding, 'embedding', FRAME_QOS)
        # Whether anybody subscribed, before the last batch ended, to the embedding, and to any of
        # the topics that show the colours of the whole image.
        self.is_embedding_wanted = self.are_colors_wanted = False

    def open(self) -> None:
        """Let frames out."""
        with self._gate:
            self._is_open = True

    def shut(self) -> None:
        """Let no more frames out: once this returns, none is under way either."""
        with self._gate:
            self._is_open = False

    def add_masks(self, labels: LabelSet) -> None:
        """Create the missing mask topics of the classes and groups in `labels`."""
        for name in [name for name in labels.masks if name not in self._masks]:
            topic = f'{MASKS}/{topic_name(name)}'
            mask = self._create(Image, topic, FRAME_QOS, event_callbacks=_NO_EVENTS)
            with self._gate:
                self._masks[name] = mask

    def remove_masks(self, labels: LabelSet) -> None:
        """Remove the mask topics of everything that is not in `labels`."""
        with self._gate:
            gone = [self._masks.pop(name) for name in [*self._masks] if name not in labels.masks]
        for publisher in gone:
            self._node.destroy_publisher(publisher)

    def note_consumers(self) -> None:
        """Look for consumers that have joined, so that the next frame waits for them."""
        with self._gate:
            self.tables.note_consumers(self._label_image, self._points, *self._masks.values())
            self.is_embedding_wanted = self._embedding.get_subscription_count() > 0
            colored = (self._overlay, self._points)
            self.are_colors_wanted = self.is_embedding_wanted or any(each.get_subscription_count() for each in colored)

    def publish(self, frame: Frame, segmentation: Segmentation) -> bool:
        """Send a result to its subscribers, unless the gate is shut; return whether it is open."""
        header, ids, labels = frame.header, segmentation.ids, frame.table.labels
        with self._gate:
            self._send(self._label_image, lambda: array_to_image(ids, 'mono8', header), has_ids=True)
            self._send(self._confidence, lambda: array_to_image(segmentation.confidence, 'mono8', header))
            for name, members in labels.masks.items():
                self._send(self._masks[name], partial(_mask, ids, members, header), has_ids=True)
            self._send(self._overlay, lambda: _overlay(frame, ids))
            self._send(self._embedding, lambda: _embedding(frame, segmentation.embedding))
            return self._is_open

    def send_camera_info(self, make: Callable[[], CameraInfo | None]) -> None:
        """Send what `make` returns to the subscribers, unless the gate is shut."""
        with self._gate:
            self._send(self._camera_info, make)

    @property
    def are_points_wanted(self) -> bool:
        """Whether anybody subscribes to the points."""
        return self._points.get_subscription_count() > 0

    def send_points(self, make: Callable[[], PointCloud2 | None]) -> None:
        """Send what `make` returns to the subscribers, unless the gate is shut."""
        with self._gate:
            self._send(self._points, make, has_ids=True)

    @property
    def large_messages(self) -> dict[str, int]:
        """The size, in bytes, of recent messages that the transport may lose, by topic."""
        since = time.monotonic() - RECENT_S
        return {topic: size for topic, (size, when) in self._large.copy().items() if when > since}

    def destroy(self) -> None:
        """Remove every topic."""
        self.shut()
        with self._gate:
            masks, self._masks = self._masks, {}
        frames = (self._label_image, self._confidence, self._overlay, self._camera_info, self._points, self._embedding)
        for publisher in (*frames, *masks.values(), *self.tables.publishers):
            self._node.destroy_publisher(publisher)

    def _create(self, message_type: type, topic: str, qos: QoSProfile, **options: Any) -> Publisher:
        return self._node.create_publisher(message_type, self._camera.output(topic), qos, **options)

    def _send(self, publisher: Publisher, make: Callable[[], Any], has_ids: bool = False) -> None:
        """Send what `make` returns to the subscribers, if there are any, unless the gate is shut.

        If it `has_ids`, wait for consumers that have joined since `note_consumers`.
        """
        if not self._is_open or not publisher.get_subscription_count():
            return
        message = make()
        if message is None:
            return
        # As late as possible: a consumer that joins after this is not waited for.
        if has_ids:
            if self.tables.note_consumers(publisher):
                await_delivery([self.tables])
            self.tables.repeat_unacknowledged()
        publisher.publish(message)
        if (size := len(getattr(message, 'data', ()))) > DEFAULT_MEMORY:
            self._large[publisher.topic_name] = size, time.monotonic()


def _mask(ids: np.ndarray, members: tuple[int, ...], header: Header) -> Image:
    """Return a mono8 image: 255 where a pixel's id is one of `members`, else 0."""
    table = np.zeros(256, np.uint8)
    table[list(members)] = 255
    return array_to_image(cv2.LUT(ids, table), 'mono8', header)


def _embedding(frame: Frame, embedding: ImageEmbedding | None) -> Embedding | None:
    if embedding is None:  # somebody has subscribed since the frame was segmented
        return None
    return embedding_to_message(embedding, frame.image, frame.settings.embedding_stride, frame.header)


def _overlay(frame: Frame, ids: np.ndarray) -> Image:
    image, (height, width) = frame.image, ids.shape
    if image.shape[:2] != ids.shape:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    pixels = overlay_with_legend(image, ids, frame.table.labels, frame.settings.overlay_alpha)
    return array_to_image(pixels, 'rgb8', frame.header)
