# SPDX-License-Identifier: Apache-2.0
"""Publishes the label tables of one camera and waits for their delivery."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, QoSPublisherMatchedInfo
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import serialize_message
from vision_msgs.msg import LabelInfo

from lseg_ros.core.cameras import Camera
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.label_messages import label_set_to_label_info, label_set_to_message
from lseg_ros.nodes.latched import LATCHED
from lseg_ros.nodes.segmentation.frames import LabelTable

HOLD_S = 0.1  # the longest that a frame waits, and how long a consumer may take to subscribe to everything
_PATIENCE_S = 1.0  # for consumers to acknowledge the tables: a process that starts must discover the node first
_TAKING_S = 0.03  # for a consumer to process a table that has arrived
_POLL_S = 0.002


class LabelTables:
    """Publishes the tables of a camera: on every change, and again for consumers that join.

    A consumer's subscriptions are matched one at a time, on each side at a different time, and a
    VOLATILE one receives no latched message. A frame must therefore wait for the tables to be
    delivered, or it could arrive before them. In a process that is only starting, subscriptions
    are not matched until it has discovered the node, and the first table is lost there. It is sent
    again until it is acknowledged, also right before each frame: if it is lost once more, the frame
    most likely is, too. The same goes for a table that has just changed, as a consumer that was
    busy may have lost it. All methods are thread-safe.
    """

    def __init__(self, node: Node, camera: Camera) -> None:
        """Create the publishers on `node`; publish nothing until `latch`."""
        self._node = node
        self._lock = threading.Lock()
        self._sent: dict[str, bytes] = {}  # serialised once, as a table may be sent many times
        self._info: tuple[Any, ...] = ()  # what the last LabelInfo said
        self._joined_at = self._changed_at = self._unacknowledged_at = -float('inf')
        self._counts = {'label_info': 0, 'label_set': 0}
        self._subscriptions: WeakKeyDictionary[Publisher, set[tuple[int, ...]]] = WeakKeyDictionary()
        self._publishers = {
            topic: node.create_publisher(
                kind,
                camera.output(topic),
                LATCHED,
                event_callbacks=PublisherEventCallbacks(matched=partial(self._matched, topic)),
            )
            for topic, kind in (('label_info', LabelInfo), ('label_set', LabelSetMessage))
        }

    @property
    def publishers(self) -> tuple[Publisher, ...]:
        """The publishers of the tables, which the caller destroys."""
        return tuple(self._publishers.values())

    def latch(self, table: LabelTable, threshold: float) -> None:
        """Publish the tables in force; `threshold` is the least confidence, 0 to 1.

        The LabelInfo is sent only if a name, an id or the threshold has changed: each time, its
        consumers in Nav2 rebuild their tables and warn of names that they do not know.
        """
        info = label_set_to_label_info(table.labels, table.since_ns, threshold)
        with self._lock:
            self._changed_at = time.monotonic()
            before, self._info = self._info, (info.class_map, info.threshold)
            if self._info != before:
                self._publish('label_info', serialize_message(info))
            self._publish('label_set', serialize_message(label_set_to_message(table.labels, table.since_ns)))

    def note_consumers(self, *frames: Publisher) -> bool:
        """Return whether a consumer has joined any of `frames` since the last call."""
        with self._lock:
            joined = [self._note_frames(publisher) for publisher in frames]
        return any(joined)

    def must_wait(self, since: float) -> bool:
        """Return whether a frame that has waited `since` (time.monotonic) must go on waiting.

        It must until consumers that joined recently have had time to process the tables, for HOLD_S
        at most: consumers that were there before want their frames.
        """
        with self._lock:
            for topic in self._publishers:
                if self._note_table(topic):
                    self._repeat_for_volatile(topic)
            now = time.monotonic()
            if now > self._joined_at + _PATIENCE_S:
                return False
            if not all(map(_is_acknowledged, self.publishers)):
                self._unacknowledged_at = now
            return now < min(since + HOLD_S, max(self._joined_at + HOLD_S, self._unacknowledged_at + _TAKING_S))

    def repeat_unacknowledged(self) -> None:
        """Resend the tables that lack acknowledgement, for a while after a join or a change."""
        with self._lock:
            if time.monotonic() > max(self._joined_at, self._changed_at) + _PATIENCE_S:
                return
            for topic, publisher in self._publishers.items():
                if not _is_acknowledged(publisher):
                    self._publish(topic, self._sent[topic])

    def _matched(self, topic: str, change: QoSPublisherMatchedInfo) -> None:
        """Serve a consumer that joins between frames, or as another one leaves."""
        is_hidden = change.total_count_change > max(change.current_count_change, 0)  # another left
        with self._lock:
            if self._note_table(topic) or is_hidden:
                self._joined_at = time.monotonic()
                self._repeat_for_volatile(topic)

    def _note_frames(self, publisher: Publisher) -> bool:
        before = self._subscriptions.pop(publisher, set())
        if not publisher.get_subscription_count():
            return False
        # Compare ids, because one consumer may have replaced another.
        known = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        now = self._subscriptions[publisher] = {tuple(each.endpoint_gid) for each in known}
        if now <= before:
            return False
        self._joined_at = time.monotonic()
        return True

    def _note_table(self, topic: str) -> bool:
        before = self._counts[topic]
        count = self._counts[topic] = self._publishers[topic].get_subscription_count()
        if count > before:
            self._joined_at = time.monotonic()
        return count > before

    def _repeat_for_volatile(self, topic: str) -> None:
        """Resend a table if a subscription is, or may be, one that receives no latched message."""
        publisher = self._publishers[topic]
        known = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        are_latched = all(each.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in known)
        if topic in self._sent and not (are_latched and len(known) >= publisher.get_subscription_count()):
            self._publish(topic, self._sent[topic])

    def _publish(self, topic: str, message: bytes) -> None:
        self._note_table(topic)  # present consumers receive it
        self._sent[topic] = message
        self._publishers[topic].publish(message)


def await_delivery(tables: Iterable[LabelTables]) -> None:
    """Wait until consumers that have just joined have the tables; see `LabelTables.must_wait`."""
    since = time.monotonic()
    repeat_at = since + HOLD_S - _TAKING_S
    missing = [table for table in tables if table.must_wait(since)]
    while missing:
        if (now := time.monotonic()) > repeat_at:
            repeat_at = now + HOLD_S
            for table in missing:
                table.repeat_unacknowledged()
        time.sleep(_POLL_S)
        missing = [table for table in missing if table.must_wait(since)]


def _is_acknowledged(publisher: Publisher) -> bool:
    # No timeout: rclpy would hold the GIL while it waits.
    return publisher.wait_for_all_acked(Duration())
