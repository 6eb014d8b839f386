# SPDX-License-Identifier: Apache-2.0
"""Transforms on the topics /tf and /tf_static."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

_DYNAMIC = QoSProfile(depth=100)
_STATIC = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Fills a buffer from /tf and /tf_static."""

    def __init__(self, buffer: Buffer, node: Node) -> None:
        """Subscribe; whoever spins the node fills the buffer."""
        self._buffer = buffer
        self._node = node
        self._subscriptions = [
            node.create_subscription(TFMessage, '/tf', self._take, _DYNAMIC),
            node.create_subscription(TFMessage, '/tf_static', self._take_static, _STATIC),
        ]

    def unregister(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _take(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform(transform, 'tf')

    def _take_static(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, 'tf_static')


class TransformBroadcaster:
    """Publishes transforms on /tf."""

    _topic, _qos = '/tf', _DYNAMIC

    def __init__(self, node: Node) -> None:
        """Create the publisher on `node`."""
        self._publisher = node.create_publisher(TFMessage, self._topic, self._qos)

    def sendTransform(self, transform: TransformStamped | Sequence[TransformStamped]) -> None:
        """Publish one transform or several."""
        transforms = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._publisher.publish(TFMessage(transforms=transforms))


class StaticTransformBroadcaster(TransformBroadcaster):
    """Publishes transforms that hold at all times on /tf_static."""

    _topic, _qos = '/tf_static', _STATIC
