# SPDX-License-Identifier: Apache-2.0
"""The segmentation node as the page sees it: its topics, its services and its state."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from lseg_ros.core.cameras import parse_cameras
from lseg_ros.dashboard.label_history import LabelHistory
from lseg_ros.dashboard.latency_plot import HISTORY_S, Sample
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.dashboard.camera_feeds import CameraFeeds
from lseg_ros.nodes.dashboard.feeds import LINGER_S, TEND_S, Feed
from lseg_ros.nodes.dashboard.reports import NO_STATE, TRANSITIONS, NodeInfo, Part, latency_sample, part_of
from lseg_ros.srv import QueryText, SetLabels

LOOK_S = 1.0
PATIENCE_S = 2.0  # with a node that should answer at once
STALE_S = 5.0  # diagnostics come every second


@dataclass(frozen=True)
class RobotState:
    """Everything that the page shows beside pictures, at one moment.

    `pending` names the lifecycle transition under way. `parts` are the statuses of the node by
    their names, such as ``segmentation`` and ``camera front``; `history` has their latencies.
    """

    info: NodeInfo = field(default_factory=NodeInfo)
    pending: str = ''
    labels: LabelSet | None = None
    can_undo: bool = False
    parts: Mapping[str, Part] = field(default_factory=lambda: MappingProxyType({}))
    history: Mapping[str, tuple[Sample, ...]] = field(default_factory=lambda: MappingProxyType({}))


class Robot:
    """A client of one segmentation node, which subscribes to it only while somebody watches.

    The executor's thread takes messages and a thread of its own asks for the lifecycle state. Any
    thread may read the properties. The methods that call services block.
    """

    def __init__(self, node: Node, target: str) -> None:
        """Watch the segmentation node `target` through `node`, which the caller spins."""
        self.target = target
        self.on_picture: Callable[[], None] = lambda: None
        self._node = node
        self._full_name = node.resolve_topic_name(target)
        self._client = SegmentationClient(node, target)
        self._observer = SegmentationClient(node, target, PATIENCE_S)
        self._diagnostics = Feed(node, DiagnosticArray, '/diagnostics', self._take_diagnostics, QoSProfile(depth=10))
        self._cameras: Mapping[str, CameraFeeds] = MappingProxyType({})
        self._labels = LabelHistory()
        self._samples: dict[str, deque[Sample]] = {}
        self._reported_at = -float('inf')
        self._watched_until = -float('inf')
        self._lock = threading.Lock()
        self._state = RobotState()
        self._closing = threading.Event()
        self._use_cameras(('',))
        node.create_timer(TEND_S, self._tend, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._thread = threading.Thread(target=self._look_on, name='dashboard observer', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()

    def watch(self, camera: str) -> None:
        """Keep the state and the pictures of a camera up to date for the next seconds."""
        self._watched_until = time.monotonic() + LINGER_S
        self._diagnostics.want()
        if feeds := self.camera(camera):
            feeds.want()

    @property
    def state(self) -> RobotState:
        """The state as it is known now."""
        return self._state

    def camera(self, name: str) -> CameraFeeds | None:
        """Return the topics of a camera, or None if the node has no such camera."""
        return self._cameras.get(name)

    def set_labels(self, labels: Sequence[str], mode: str) -> SetLabels.Response:
        """Change the labels as ~/set_labels does; raise TimeoutError without an answer."""
        self._check_running()
        return self._client.set_labels(labels, mode)

    def undo_labels(self) -> SetLabels.Response:
        """Bring the labels before the last change back, whoever made it; raise as `set_labels`."""
        previous = self._labels.go_back()
        if previous is None:
            return SetLabels.Response(message='there is no earlier set of labels')
        return self.set_labels([label.spec for label in previous.classes], SetLabels.Request.MODE_REPLACE)

    def query(self, text: str, camera: str) -> QueryText.Response:
        """Look for a text in the latest image; raise TimeoutError if the node does not answer."""
        self._check_running()
        return self._client.query([text], camera)

    def set_overlay_alpha(self, alpha: float) -> str:
        """Set the opacity of the overlay; return why it was refused, or an empty text."""
        self._check_running()
        result = self._client.set_parameter('overlay_alpha', alpha)
        return '' if result.successful else result.reason

    def change_state(self, transition: str) -> bool:
        """Request a transition, a key of TRANSITIONS; return whether it succeeded."""
        self._update(pending=transition)
        try:
            return self._client.change_state(TRANSITIONS[transition])
        finally:
            self._update(pending='', info=self._look())

    def _check_running(self) -> None:
        if self._state.info.state == NO_STATE:
            raise TimeoutError(self._state.info.problem)

    def _update(self, **changes: Any) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)

    # In the executor's thread

    def _tend(self) -> None:
        if (names := self._state.info.cameras) != tuple(self._cameras):
            self._use_cameras(names)
        self._diagnostics.tend()
        for camera in self._cameras.values():
            camera.tend()
        if self._state.parts and time.monotonic() > self._reported_at + STALE_S:
            self._update(parts=MappingProxyType({}))

    def _use_cameras(self, names: tuple[str, ...]) -> None:
        for feeds in self._cameras.values():
            feeds.close()
        self._cameras = MappingProxyType(
            {
                camera.name: CameraFeeds(self._node, self.target, camera, self._take_labels, lambda: self.on_picture())
                for camera in parse_cameras(names)
            }
        )

    def _take_labels(self, labels: LabelSet) -> None:
        self._labels.note(labels)
        self._update(labels=labels, can_undo=self._labels.previous is not None)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = f'{self._full_name.lstrip("/")}: '
        found = {
            status.name.removeprefix(prefix): part_of(status)
            for status in message.status
            if status.name.startswith(prefix)
        }
        if not found:
            return
        self._reported_at = now = time.monotonic()
        for name, part in found.items():
            samples = self._samples.setdefault(name, deque())
            if sample := latency_sample(now, part):
                samples.append(sample)
            while samples and samples[0].time_s < now - HISTORY_S:
                samples.popleft()
        history = {name: tuple(samples) for name, samples in self._samples.items() if samples}
        self._update(parts=MappingProxyType(found), history=MappingProxyType(history))

    # In the observer's thread

    def _look_on(self) -> None:
        while not self._closing.wait(LOOK_S):
            if time.monotonic() < self._watched_until and not self._state.pending:
                self._update(info=self._look())

    def _look(self) -> NodeInfo:
        last = self._state.info
        try:
            state = self._observer.state()
            cameras = self._observer.get_parameter('cameras')
            alpha = self._observer.get_parameter('overlay_alpha')
        except TimeoutError as error:
            return replace(last, state=NO_STATE, problem=self._why(str(error)))
        try:
            return NodeInfo(state, '', self._showable(cameras or ()), alpha)
        except (TypeError, ValueError) as error:
            return NodeInfo(state, one_line(error), last.cameras, alpha)

    def _showable(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of cameras, whose topics can be subscribed to."""
        cameras = parse_cameras(names)
        for camera in cameras:
            for longest in (f'{self.target}/{camera.input("label_image")}', camera.input('image/compressed')):
                try:
                    self._node.resolve_topic_name(longest)
                except RuntimeError as error:
                    raise ValueError(f'cameras: {camera.name!r} is too long for a topic name') from error
        return tuple(camera.name for camera in cameras)

    def _why(self, error: str) -> str:
        if error.startswith('no response'):
            return f'{self._full_name} does not answer: it may be loading its model'
        return f'{self._full_name} is not running'
