# SPDX-License-Identifier: Apache-2.0
"""What the segmentation node publishes for each frame, and the tables that give it meaning."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo, VisionClass

from lseg_ros.core.cameras import Camera
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.labels import LabelSet
from lseg_ros.labels.syntax import topic_name
from lseg_ros.media.overlay import overlay_with_legend
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.conversions import array_to_image, label_set_to_label_info, label_set_to_message

FRAME_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# An executor that waits for the events of a publisher ends with InvalidHandle when another thread
# destroys that publisher, and masks come and go in the thread that changes the labels.
_NO_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)


class Outputs:
    """The publishers of one camera, and the gate that keeps frames in while it is shut.

    What nobody subscribes to is neither computed nor sent. The tables are latched whether the gate
    is open or shut.
    """

    def __init__(
        self, node: Node, camera: Camera, label_encoding: str, overlay_alpha: float
    ) -> None:
        """Create the publishers on `node`, gate shut; `label_encoding` is mono8 or mono16."""
        self.overlay_alpha = overlay_alpha
        self._node = node
        self._camera = camera
        self._label_encoding = label_encoding
        self._gate = threading.Lock()
        self._is_open = False
        self._label_image = self._create(Image, 'label_image', FRAME_QOS)
        self._confidence = self._create(Image, 'confidence', FRAME_QOS)
        self._overlay = self._create(Image, 'overlay', FRAME_QOS)
        self._camera_info = self._create(CameraInfo, 'camera_info', FRAME_QOS)
        self._points = self._create(PointCloud2, 'points', FRAME_QOS)
        self._label_info = self._create(LabelInfo, 'label_info', LATCHED_QOS)
        self._label_set = self._create(LabelSetMessage, 'label_set', LATCHED_QOS)
        self._latched: tuple[list[VisionClass], float] | None = None
        self._masks: dict[str, Publisher] = {}

    def open(self) -> None:
        """Let frames out."""
        with self._gate:
            self._is_open = True

    def shut(self) -> None:
        """Let no frame out any more: once this returns, none is under way either."""
        with self._gate:
            self._is_open = False

    def latch(self, labels: LabelSet, since_ns: int, threshold: float) -> None:
        """Publish the tables that hold for images stamped at or after `since_ns`.

        The label info goes out only when a name, an id or the threshold is new: its consumers in
        Nav2 build their tables anew, and complain about names they do not know, each time.
        """
        info = label_set_to_label_info(labels, since_ns, threshold)
        if (info.class_map, info.threshold) != self._latched:
            self._label_info.publish(info)
            self._latched = (info.class_map, info.threshold)
        self._label_set.publish(label_set_to_message(labels, since_ns))

    def add_masks(self, labels: LabelSet) -> None:
        """Make a mask topic for each class and group without one; any thread may call this."""
        new = [name for name in labels.masks if name not in self._masks]
        self._masks = self._masks | {
            name: self._create(
                Image, f'masks/{topic_name(name)}', FRAME_QOS, event_callbacks=_NO_EVENTS
            )
            for name in new
        }

    def remove_masks(self, labels: LabelSet) -> None:
        """Remove the mask topics of what is not in `labels`; any thread may call this."""
        gone = [name for name in self._masks if name not in labels.masks]
        masks = dict(self._masks)
        removed = [masks.pop(name) for name in gone]
        self._masks = masks
        for publisher in removed:
            self._node.destroy_publisher(publisher)

    def publish(
        self, header: Header, image: np.ndarray, segmentation: Segmentation, labels: LabelSet
    ) -> bool:
        """Send a frame to those who listen; returns False when the gate is shut.

        `image` is uint8 RGB [H, W, 3], of any size; `header` is the camera's, and stays as it is.
        """
        with self._gate:
            if not self._is_open:
                return False
            ids = segmentation.ids
            self._send(self._label_image, self._label_encoding, header, lambda: ids)
            self._send(self._confidence, 'mono8', header, lambda: segmentation.confidence)
            for name, members in labels.masks.items():
                self._send(self._masks[name], 'mono8', header, partial(_mask, ids, members))
            self._send(
                self._overlay,
                'rgb8',
                header,
                partial(_overlay, image, ids, labels, self.overlay_alpha),
            )
            return True

    def send_camera_info(self, make: Callable[[], CameraInfo | None]) -> None:
        """Send what `make` returns to those who listen, unless the gate is shut."""
        self._send_gated(self._camera_info, make)

    @property
    def are_points_wanted(self) -> bool:
        """Whether anybody listens to the points."""
        return self._points.get_subscription_count() > 0

    def send_points(self, make: Callable[[], PointCloud2 | None]) -> None:
        """Send what `make` returns to those who listen, unless the gate is shut."""
        self._send_gated(self._points, make)

    def destroy(self) -> None:
        """Remove every topic."""
        self.shut()
        for publisher in (
            self._label_image,
            self._confidence,
            self._overlay,
            self._camera_info,
            self._points,
            self._label_info,
            self._label_set,
            *self._masks.values(),
        ):
            self._node.destroy_publisher(publisher)
        self._masks = {}

    def _create(self, message_type: type, topic: str, qos: QoSProfile, **options) -> Publisher:
        return self._node.create_publisher(message_type, self._camera.output(topic), qos, **options)

    def _send_gated(self, publisher: Publisher, make: Callable[[], Any]) -> None:
        with self._gate:
            if self._is_open and publisher.get_subscription_count():
                message = make()
                if message is not None:
                    publisher.publish(message)

    @staticmethod
    def _send(
        publisher: Publisher, encoding: str, header: Header, pixels: Callable[[], np.ndarray]
    ) -> None:
        if publisher.get_subscription_count():
            publisher.publish(array_to_image(pixels(), encoding, header))


def _mask(ids: np.ndarray, members: tuple[int, ...]) -> np.ndarray:
    """Return uint8 [H, W]: 255 where a pixel's id is one of `members`, else 0."""
    table = np.zeros(256, np.uint8)
    table[list(members)] = 255
    return cv2.LUT(ids, table)


def _overlay(image: np.ndarray, ids: np.ndarray, labels: LabelSet, alpha: float) -> np.ndarray:
    height, width = ids.shape
    if image.shape[:2] != ids.shape:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return overlay_with_legend(image, ids, labels, alpha)
