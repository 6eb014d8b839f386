# SPDX-License-Identifier: Apache-2.0
"""The subscriptions to one camera, and why none of its images arrive."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lseg_ros.core.cameras import Camera
from lseg_ros.nodes.conversions import compressed_to_rgb, image_to_rgb, reduced_to_rgb
from lseg_ros.nodes.input_qos import best_effort, overridable
from lseg_ros.nodes.segmentation.frames import Arrival, Decode, Reduce
from lseg_ros.nodes.segmentation.stream import SegmentationStream
from lseg_ros.nodes.transport import loss_hint

# More than the newest: an image may be waiting for the depth frame or CameraInfo before it.
QUEUE = 5


@dataclass(frozen=True)
class ImageTransport:
    """One way to receive images: topic, message type, and the functions that decode it to RGB."""

    topic: str
    message_type: type
    decode: Decode
    reduce: Reduce | None = None


TRANSPORTS = MappingProxyType(
    {
        'raw': ImageTransport('image', Image, image_to_rgb),
        'compressed': ImageTransport('image/compressed', CompressedImage, compressed_to_rgb, reduced_to_rgb),
    }
)


class CameraInput:
    """Subscribes to a camera's images, best effort and newest only, its CameraInfo and its depth.

    The parameters `qos_overrides.<topic>.subscription.*` change the QoS.
    """

    def __init__(self, node: Node, camera: Camera, transport: ImageTransport, stream: SegmentationStream) -> None:
        """Subscribe and pass each message to `stream`.

        If rclpy refuses one subscription, make none and raise what it raises.
        """
        self.camera = camera
        self._node = node
        self._type_name = f'sensor_msgs/msg/{transport.message_type.__name__}'
        self._qos = best_effort(1)
        with ExitStack() as undo:
            undo.callback(self.destroy)
            self._subscriptions: list[Subscription] = []
            self._subscribe(
                transport.message_type,
                transport.topic,
                self._qos,
                lambda message: stream.offer(camera.name, Arrival(message, transport.decode, transport.reduce)),
            )
            self._subscribe(
                CameraInfo, 'camera_info', best_effort(QUEUE), stream.cameras[camera.name].geometry.infos.add
            )
            self._subscribe(
                Image, 'depth', best_effort(QUEUE), lambda message: stream.offer_depth(camera.name, message)
            )
            undo.pop_all()

    @property
    def topic(self) -> str:
        """The full name of the image topic, after remapping."""
        return self._subscriptions[0].topic_name

    def why_silent(self) -> str:
        """Return why no images arrive, as far as the ROS graph shows."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return f'no publisher on {self.topic}'
        obstacles = [text for text in map(self._obstacle, publishers) if text]
        count = f'publishers on {self.topic}: {len(publishers)}'
        if obstacles:
            return f'{count}, of which {len(obstacles)} cannot be received: {obstacles[0]}'
        return f'{count}, but no image arrives{loss_hint(by_others=True)}'

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _subscribe(self, message_type: type, topic: str, qos: QoSProfile, callback: Callable[[Any], None]) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                message_type, self.camera.input(topic), callback, qos, qos_overriding_options=overridable()
            )
        )

    def _obstacle(self, publisher: TopicEndpointInfo) -> str:
        if publisher.topic_type != self._type_name:
            return f'{publisher.node_name} sends {publisher.topic_type}, not {self._type_name}'
        compatibility, reason = qos_check_compatible(publisher.qos_profile, self._qos)
        if compatibility == QoSCompatibility.ERROR:
            return (
                f'{publisher.node_name} has incompatible QoS ({reason.strip()}); change it or '
                f'qos_overrides.{self.topic}.subscription'
            )
        return ''
