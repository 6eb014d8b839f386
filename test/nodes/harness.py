# SPDX-License-Identifier: Apache-2.0
"""Runs the real segmentation node beside a client that talks to it over real topics."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import LabelInfo

from lseg_ros.msg import LabelSet
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.segmentation.segmentation_node import SegmentationNode
from lseg_ros.srv import SetLabels

TIMEOUT_S = 30.0
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_namespaces = (f'/test{number}' for number in itertools.count())


class Client(Node):
    """A camera and a listener in one: publishes images, keeps what the node sends."""

    def __init__(self, context: rclpy.Context, namespace: str) -> None:
        super().__init__('client', context=context, namespace=namespace)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._sent: dict[str, list[int]] = defaultdict(list)
        self._changed = threading.Condition()
        self._cameras: dict[str, Publisher] = {}
        self.add_camera('')
        self._stamp = itertools.count(1)
        self.listen('/diagnostics', DiagnosticArray)

    def add_camera(self, name: str) -> None:
        """Become the camera of this name too; the empty one is there already."""
        self._cameras[name] = self.create_publisher(
            Image,
            f'{name}/image'.lstrip('/'),
            qos_profile_sensor_data,
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )

    def listen(
        self, topic: str, message_type: type = Image, qos: QoSProfile = QoSProfile(depth=50)
    ) -> None:
        """Keep every message of `topic`; those of the node as `lseg/<topic>`."""

        def keep(message: Any, info: dict[str, int]) -> None:
            with self._changed:
                self.received[topic].append(message)
                self._sent[topic].append(info['source_timestamp'])
                self._changed.notify_all()

        self.create_subscription(message_type, topic, keep, qos)

    def listen_to_tables(self, camera: str = '') -> None:
        """Keep the latched tables."""
        self.listen(output('label_set', camera), LabelSet, LATCHED)
        self.listen(output('label_info', camera), LabelInfo, LATCHED)

    def in_order_of_sending(self, *topics: str) -> list[Any]:
        """Return the messages of several topics in the order in which they were published."""
        with self._changed:
            sent = [
                (when, message)
                for topic in topics
                for when, message in zip(self._sent[topic], self.received[topic])
            ]
        return [message for _, message in sorted(sent, key=lambda pair: pair[0])]

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of `condition`, tried again after every message."""
        with self._changed:
            if not self._changed.wait_for(condition, TIMEOUT_S):
                counts = {topic: len(got) for topic, got in self.received.items()}
                raise AssertionError(f'waited in vain for {what}; received: {counts}')
            return condition()

    def send(
        self, pixels: np.ndarray = PICTURE, stamp_ns: int | None = None, camera: str = ''
    ) -> int:
        """Publish a picture as rgb8; return its stamp, which counts seconds unless given (ns)."""
        stamp_ns = next(self._stamp) * 10**9 if stamp_ns is None else stamp_ns
        header = Header(
            stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=f'{camera or "camera"}_optical'
        )
        self._cameras[camera].publish(array_to_image(pixels, 'rgb8', header))
        return stamp_ns

    def send_message(self, message: Image, camera: str = '') -> None:
        """Publish a message as it is."""
        self._cameras[camera].publish(message)

    def unplug_camera(self) -> None:
        """Take the camera off the network."""
        self.destroy_publisher(self._cameras.pop(''))

    def wait_for_links(self, *topics: str) -> None:
        """Wait until the node hears the camera and this client hears the node's topics."""
        self.poll(lambda: self._cameras[''].get_subscription_count() > 0, 'the node to subscribe')
        for topic in topics:
            self.poll(lambda: self.count_publishers(topic) > 0, f'a publisher on {topic}')

    def segment(self, pixels: np.ndarray = PICTURE, camera: str = '') -> Image:
        """Send a picture, again if it is lost, until its label image comes back; return that."""
        stamps: set[int] = set()
        topic = output('label_image', camera)

        def answer() -> Image | None:
            return next(
                (message for message in self.received[topic] if stamp_of(message) in stamps), None
            )

        def send_and_wait() -> Image | None:
            stamps.add(self.send(pixels, camera=camera))
            return self.soon(answer)

        return self.poll(send_and_wait, 'a label image')

    def soon(self, condition: Callable[[], Any], seconds: float = 0.5) -> Any:
        """Return the value of `condition` once it is true, or what it is after `seconds`."""
        with self._changed:
            self._changed.wait_for(condition, seconds)
            return condition()

    def poll(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of a `condition` that no message announces."""
        deadline = threading.Event()
        timer = threading.Timer(TIMEOUT_S, deadline.set)
        timer.start()
        try:
            while not deadline.is_set():
                if value := condition():
                    return value
                deadline.wait(0.02)
            raise AssertionError(f'waited in vain for {what}')
        finally:
            timer.cancel()

    def call(self, service_type: type, name: str, request: Any) -> Any:
        """Call a service of the node and return the answer."""
        client = self.create_client(service_type, f'lseg/{name}')
        try:
            assert client.wait_for_service(TIMEOUT_S), f'no service {name}'
            answered = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: answered.set())
            assert answered.wait(TIMEOUT_S), f'no answer from {name}'
            return future.result()
        finally:
            self.destroy_client(client)

    def transition(self, transition_id: int) -> bool:
        """Ask for a lifecycle transition; True when it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition_id))
        return self.call(ChangeState, 'change_state', request).success

    def configure(self) -> bool:
        """Bring the node from unconfigured to inactive."""
        return self.transition(Transition.TRANSITION_CONFIGURE)

    def activate(self) -> bool:
        """Bring the node from inactive to active."""
        return self.transition(Transition.TRANSITION_ACTIVATE)

    def state(self) -> str:
        """Return the lifecycle state."""
        return self.call(GetState, 'get_state', GetState.Request()).current_state.label

    def set_labels(self, labels: Sequence[str], mode: str = '') -> SetLabels.Response:
        """Call ~/set_labels."""
        return self.call(SetLabels, 'set_labels', SetLabels.Request(labels=labels, mode=mode))

    def enable(self, on: bool) -> SetBool.Response:
        """Call ~/enable."""
        return self.call(SetBool, 'enable', SetBool.Request(data=on))

    def set_parameter(self, name: str, value: Any) -> Any:
        """Set a parameter of the node; return the SetParametersResult."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, 'set_parameters', request).results[0]

    def get_parameter_value(self, name: str) -> Any:
        """Return the value of a string-array parameter of the node."""
        request = GetParameters.Request(names=[name])
        (value,) = self.call(GetParameters, 'get_parameters', request).values
        return list(value.string_array_value)

    def assert_ids_are_in_their_tables(self, camera: str = '') -> None:
        """Compare each label image with the table that holds for it: the last stamped no later."""
        for message in self.received[output('label_image', camera)]:
            table = max(
                (
                    table
                    for table in self.received[output('label_set', camera)]
                    if stamp_of(table) <= stamp_of(message)
                ),
                key=stamp_of,
            )
            assert set(np.unique(ids_of(message))) <= {entry.id for entry in table.classes}

    def wait_for_status(
        self,
        condition: Callable[[DiagnosticStatus, dict[str, str]], bool],
        what: str,
        part: str = 'segmentation',
    ) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Return the first diagnostics of a part, from now on, that fulfil `condition`."""
        seen = len(self.received['/diagnostics'])
        name = f'{self.get_namespace()}/lseg: {part}'.lstrip('/')

        def search() -> tuple[DiagnosticStatus, dict[str, str]] | None:
            for array in self.received['/diagnostics'][seen:]:
                for status in array.status:
                    values = {item.key: item.value for item in status.values}
                    if status.name == name and condition(status, values):
                        return status, values
            return None

        return self.wait_for(search, f'diagnostics with {what}')


class Harness:
    """The node and its client, each in an executor thread of its own, in a fresh namespace."""

    def __init__(self, context: rclpy.Context, namespace: str = '', **parameters: Any) -> None:
        """Start both; the node has `parameters` and is unconfigured."""
        namespace = namespace or next(_namespaces)
        self._running = ExitStack()
        self.client = self._running.enter_context(running(context, Client(context, namespace)))
        node = SegmentationNode(
            context=context,
            namespace=namespace,
            enable_rosout=False,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in parameters.items()
            ],
        )
        self._running.enter_context(running(context, node, node.close))

    def close(self) -> None:
        """Stop both nodes."""
        self._running.close()


@contextmanager
def running(
    context: rclpy.Context, node: Node, close: Callable[[], None] = lambda: None
) -> Iterator[Node]:
    """Spin `node` in a thread of its own; in the end `close` it and destroy it."""
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), name=node.get_name())
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        close()
        node.destroy_node()


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except (ExternalShutdownException, ShutdownException):
        pass


def output(topic: str, camera: str = '') -> str:
    """Return the name of a node's output, for `Client.listen` and `Client.received`."""
    return f'lseg/{camera}/{topic}' if camera else f'lseg/{topic}'


def stamp_of(message: Any) -> int:
    """Return the stamp of a message in nanoseconds."""
    return Time.from_msg(message.header.stamp).nanoseconds


def ids_of(message: Image) -> np.ndarray:
    """Return the class ids of a mono8 label image, uint8 [H, W]."""
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
