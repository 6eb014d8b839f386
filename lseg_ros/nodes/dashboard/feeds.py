# SPDX-License-Identifier: Apache-2.0
"""Topics that are subscribed to only while somebody looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from lseg_ros.error_text import one_line
from lseg_ros.nodes.problem_log import ProblemLog

# Best effort and a depth of one: a reader that is slow then never holds up the publisher.
LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LINGER_S = 5.0  # so that reloading the page does not subscribe again
TEND_S = 0.2  # how often what is wanted is looked at


class Feed:
    """A topic that is subscribed to while it is wanted, and for LINGER_S after that."""

    def __init__(
        self, node: Node, kind: type, topic: str, on_message: Callable[[Any], None], qos: QoSProfile = LATEST
    ) -> None:
        """Subscribe to nothing yet.

        `on_message` will be called in the executor's thread, and may raise ValueError for a message
        that cannot be used, which the log then says.
        """
        self._node = node
        self._kind = kind
        self.topic = topic
        self._on_message = on_message
        self._problems = ProblemLog(node)
        self._qos = qos
        self._subscription: Subscription | None = None
        self._wanted_until = -float('inf')

    @property
    def is_open(self) -> bool:
        """Whether there is a subscription now."""
        return self._subscription is not None

    def want(self) -> None:
        """Keep the subscription for another LINGER_S; any thread may call this."""
        self._wanted_until = time.monotonic() + LINGER_S

    def tend(self) -> None:
        """Subscribe or unsubscribe as wanted; call this in the executor's thread only."""
        is_wanted = time.monotonic() < self._wanted_until
        if is_wanted and self._subscription is None:
            self._subscription = self._node.create_subscription(self._kind, self.topic, self._take, self._qos)
        elif not is_wanted:
            self.close()

    def _take(self, message: Any) -> None:
        try:
            self._on_message(message)
        except ValueError as error:
            self._problems.warn(f'{self.topic} not used: {one_line(error)}')

    def close(self) -> None:
        """Unsubscribe; call this in the executor's thread only."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
