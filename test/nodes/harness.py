# SPDX-License-Identifier: Apache-2.0
"""The real segmentation node, and a client that exchanges real messages with it."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from lseg_ros.msg import LabelSet
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.segmentation.segmentation_node import SegmentationNode
from lseg_ros.nodes.spinning import spinning

TIMEOUT_S = 30.0
POLL_S = 0.02
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)

BARE = {'enable_rosout': False, 'start_parameter_services': False}  # of a node, which starts sooner
RELIABLE = QoSProfile(depth=50)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_namespaces = (f'/test{number}' for number in itertools.count())


class Client(SegmentationClient):
    """A SegmentationClient that also plays the cameras and keeps what the node publishes."""

    def __init__(self, context: rclpy.Context, namespace: str) -> None:
        """Create the client's node, which the caller spins and destroys."""
        node = rclpy.create_node('client', context=context, namespace=namespace, **BARE)
        super().__init__(node, timeout_s=TIMEOUT_S)
        self.namespace = namespace
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._sent: dict[str, list[int]] = defaultdict(list)
        self.last_stamp_ns = 0  # of the last picture sent
        self._changed = threading.Condition()
        self._cameras: dict[str, Publisher] = {}
        self.add_camera('')
        self._stamp = itertools.count(1)
        self.listen('/diagnostics', DiagnosticArray)

    def add_camera(self, name: str) -> None:
        """Play the camera `name` too; the camera without a name is always there."""
        self._cameras[name] = self.node.create_publisher(
            Image,
            f'{name}/image'.lstrip('/'),
            qos_profile_sensor_data,
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )

    def unplug_camera(self) -> None:
        """Take the camera without a name off the network."""
        self.node.destroy_publisher(self._cameras.pop(''))

    def listen(self, topic: str, message_type: type = Image, qos: QoSProfile = RELIABLE) -> None:
        """Keep every message of `topic`; outputs of the node are called `lseg/<topic>`."""

        def keep(message: Any, info: dict[str, int]) -> None:
            with self._changed:
                self.received[topic].append(message)
                self._sent[topic].append(info['source_timestamp'])
                self._changed.notify_all()

        self.node.create_subscription(message_type, topic, keep, qos)

    def listen_to_tables(self, camera: str = '') -> None:
        """Keep the latched tables of a camera."""
        self.listen(output('label_set', camera), LabelSet, LATCHED)
        self.listen(output('label_info', camera), LabelInfo, LATCHED)

    def in_order_of_sending(self, *topics: str) -> list[Any]:
        """Return the messages of several topics in the order in which they were published."""
        with self._changed:
            sent = [
                (when, message) for topic in topics for when, message in zip(self._sent[topic], self.received[topic])
            ]
        return [message for _, message in sorted(sent, key=lambda pair: pair[0])]

    def forget(self) -> dict[str, list[Any]]:
        """Drop everything received so far; return it, by topic."""
        with self._changed:
            dropped = dict(self.received)
            self.received.clear()
            self._sent.clear()
        return dropped

    def send(self, pixels: np.ndarray = PICTURE, stamp_ns: int | None = None, camera: str = '') -> int:
        """Publish a picture as rgb8; return its stamp (ns), by default a new whole second."""
        stamp_ns = next(self._stamp) * 10**9 if stamp_ns is None else stamp_ns
        self.last_stamp_ns = stamp_ns
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=f'{camera or "camera"}_optical')
        self._cameras[camera].publish(array_to_image(pixels, 'rgb8', header))
        return stamp_ns

    def send_message(self, message: Image, camera: str = '') -> None:
        """Publish a message as it is."""
        self._cameras[camera].publish(message)

    def segment_frame(self, pixels: np.ndarray = PICTURE, stamp_ns: int | None = None, camera: str = '') -> Image:
        """Send a picture through the stream, again if it gets lost; return its label image."""
        stamps: set[int] = set()
        topic = output('label_image', camera)
        self.poll(lambda: self._cameras[camera].get_subscription_count(), 'the node to subscribe')

        def send_and_wait() -> Image | None:
            stamps.add(self.send(pixels, stamp_ns, camera))
            return self.soon(
                lambda: next((each for each in self.received[topic] if stamp_of(each) in stamps), None), seconds=2.0
            )

        return self.poll(send_and_wait, f'a message on {topic}')

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of `condition`, evaluated after every message."""
        with self._changed:
            if not self._changed.wait_for(condition, TIMEOUT_S):
                counts = {topic: len(got) for topic, got in self.received.items()}
                raise AssertionError(f'timed out waiting for {what}; received: {counts}')
            return condition()

    def soon(self, condition: Callable[[], Any], seconds: float = 0.5) -> Any:
        """Return the value of `condition` once it is true, or its value after `seconds`."""
        with self._changed:
            self._changed.wait_for(condition, seconds)
            return condition()

    def poll(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of a `condition` that no message announces."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(POLL_S)
        raise AssertionError(f'timed out waiting for {what}')

    def wait_for_links(self, *topics: str) -> None:
        """Wait until the node subscribes to the camera and this client to the node's topics."""
        self.poll(lambda: self._cameras[''].get_subscription_count() > 0, 'the node to subscribe')
        for topic in topics:
            self.poll(lambda: self.node.count_publishers(topic) > 0, f'a publisher on {topic}')

    def wait_for_header(self, topic: str, header: Header) -> Any:
        """Return the first message on `topic` that has this header."""
        return self.wait_for(
            lambda: next((each for each in self.received[topic] if each.header == header), None),
            f'the message on {topic} with the same header',
        )

    def statuses(self, since: int = 0) -> list[tuple[DiagnosticStatus, dict[str, str]]]:
        """Return each diagnostic status with its values, from diagnostics number `since` on."""
        return [
            (status, {item.key: item.value for item in status.values})
            for array in self.received['/diagnostics'][since:]
            for status in array.status
        ]

    def wait_for_status(
        self, condition: Callable[[DiagnosticStatus, dict[str, str]], bool], what: str, part: str = 'segmentation'
    ) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Return the first status of a part, published from now on, that meets `condition`."""
        seen = len(self.received['/diagnostics'])
        name = f'{self.namespace}/lseg: {part}'.lstrip('/')

        def search() -> tuple[DiagnosticStatus, dict[str, str]] | None:
            for status, values in self.statuses(seen):
                if status.name == name and condition(status, values):
                    return status, values
            return None

        return self.wait_for(search, f'diagnostics with {what}')

    def reported(self, key: str, condition: Callable[[str], bool], part: str = '') -> bool:
        """Return whether any diagnostics so far had a value of `key` that meets `condition`."""
        return any(
            key in values and condition(values[key]) for status, values in self.statuses() if status.name.endswith(part)
        )

    def assert_ids_are_in_their_tables(self, camera: str = '') -> None:
        """Check each label image against its table: the last one not stamped later."""
        tables = self.received[output('label_set', camera)]
        for message in self.received[output('label_image', camera)]:
            earlier = (table for table in tables if stamp_of(table) <= stamp_of(message))
            table = max(earlier, key=stamp_of)
            assert set(np.unique(ids_of(message))) <= {entry.id for entry in table.classes}


@contextmanager
def segmentation_node(context: rclpy.Context, namespace: str = '', **parameters: Any) -> Iterator[Client]:
    """Run an unconfigured node with `parameters` and its client, by default in a new namespace."""
    namespace = namespace or next(_namespaces)
    client = Client(context, namespace)
    with running(client.node):
        node = SegmentationNode(
            context=context,
            namespace=namespace,
            enable_rosout=False,
            parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
        )
        with running(node, node.close):
            yield client


@contextmanager
def running(node: Node, close: Callable[[], None] = lambda: None) -> Iterator[Node]:
    """Spin `node` in a thread of its own; then `close` it and destroy it."""
    with ExitStack() as cleanup:
        cleanup.callback(node.destroy_node)
        cleanup.callback(close)
        cleanup.enter_context(spinning(node))
        yield node


@contextmanager
def repeating(action: Callable[[], Any], pause_s: float = 0.0) -> Iterator[None]:
    """Call `action` again and again, in a thread of its own, until the block ends."""
    end = threading.Event()

    def repeat() -> None:
        while not end.wait(pause_s):
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def output(topic: str, camera: str = '') -> str:
    """Return the name of a node's output as `Client.listen` and `Client.received` use it."""
    return f'lseg/{camera}/{topic}' if camera else f'lseg/{topic}'


def stamp_of(message: Any) -> int:
    """Return the stamp of a message in nanoseconds."""
    return Time.from_msg(message.header.stamp).nanoseconds


def ids_of(message: Image) -> np.ndarray:
    """Return the class ids of a mono8 label image, uint8 [H, W]."""
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
