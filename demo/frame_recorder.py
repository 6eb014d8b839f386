# SPDX-License-Identifier: Apache-2.0
"""Keep the latest messages of the segmentation node's topics, by stamp, and measure latency."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image

WAIT_TIMEOUT_S = 30.0
KEPT_MESSAGES = 60
COUNTERS = ('images received', 'frames published', 'images dropped')
Found = TypeVar('Found')


class FrameRecorder(Node):
    """Subscribes to the camera and the node `lseg`; spin it in another thread."""

    def __init__(self) -> None:
        """Subscribe to the camera, label images, overlays and diagnostics."""
        super().__init__('lseg_demo_client')
        self._arrival = threading.Condition()
        self._messages: dict[str, dict[int, Image]] = defaultdict(dict)
        self._arrived: dict[int, float] = {}
        self._latencies_ms: list[float] = []
        self._diagnostics: list[dict[str, str]] = []
        self._topics: set[str] = {'image'}
        self.create_subscription(Image, 'image', self._keeper('image'), qos_profile_sensor_data)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._keep_diagnostics, 10)
        for topic in ('label_image', 'overlay'):
            self._watch(topic)

    def wait_for_label_image(self, since_ns: int) -> tuple[Image, float]:
        """Return the first label image stamped at or after `since_ns`, and its time.monotonic()."""
        stamp = self._wait(
            lambda: min((s for s in self._messages['label_image'] if s >= since_ns), default=None),
            'a label image under the new labels',
        )
        return self._messages['label_image'][stamp], self._arrived[stamp]

    def wait_for_frame(self, topics: list[str], since_ns: int) -> dict[str, Image]:
        """Return one message of each topic, all with one stamp, at or after `since_ns`."""
        for topic in topics:
            self._watch(topic)

        def newest() -> dict[str, Image] | None:
            common = set.intersection(*(set(self._messages[topic]) for topic in topics))
            stamp = max((stamp for stamp in common if stamp >= since_ns), default=None)
            if stamp is None:
                return None
            return {topic: self._messages[topic][stamp] for topic in topics}

        return self._wait(newest, f'one frame of {", ".join(topics)}')

    def wait_for_label_images(self, count: int) -> None:
        """Return when `count` more label images have arrived."""
        target = len(self._latencies_ms) + count
        self._wait(lambda: len(self._latencies_ms) >= target or None, f'{count} label images')

    def measurements(self) -> dict[str, object]:
        """Return the latency of each label image so far (ms) and the node's own counters."""
        seen = len(self._diagnostics)
        self._wait(lambda: len(self._diagnostics) > seen or None, 'diagnostics')
        first, last = self._diagnostics[0], self._diagnostics[-1]
        counted = {key: int(last[key]) - int(first.get(key, 0)) for key in COUNTERS}
        return {'latency_ms': list(self._latencies_ms), **counted}

    def _watch(self, topic: str) -> None:
        if topic not in self._topics:
            self._topics.add(topic)
            keep = self._keeper(topic)
            self.create_subscription(Image, f'lseg/{topic}', keep, QoSProfile(depth=10))

    def _keeper(self, topic: str) -> Callable[[Image], None]:
        def keep(message: Image) -> None:
            stamp = Time.from_msg(message.header.stamp)
            with self._arrival:
                kept = self._messages[topic]
                kept[stamp.nanoseconds] = message
                while len(kept) > KEPT_MESSAGES:
                    del kept[next(iter(kept))]
                if topic == 'label_image':
                    self._arrived[stamp.nanoseconds] = time.monotonic()
                    age = self.get_clock().now() - stamp
                    self._latencies_ms.append(age.nanoseconds / 1e6)
                self._arrival.notify_all()

        return keep

    def _keep_diagnostics(self, message: DiagnosticArray) -> None:
        with self._arrival:
            self._diagnostics += [
                {item.key: item.value for item in status.values}
                for status in message.status
                if status.name.startswith('lseg:')
            ]
            self._arrival.notify_all()

    def _wait(self, condition: Callable[[], Found | None], what: str) -> Found:
        """Return the first value of `condition` that is not None."""
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        with self._arrival:
            while (found := condition()) is None:
                if not self._arrival.wait(deadline - time.monotonic()):
                    raise TimeoutError(
                        f'timed out after {WAIT_TIMEOUT_S:.0f} s waiting for {what}; '
                        f'last diagnostics: {self._diagnostics[-1:] or "none"}'
                    )
            return found
