# SPDX-License-Identifier: Apache-2.0
"""The segmentation node as the page sees it: its topics, its services and its state."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterEvent
from rclpy.node import Node
from rclpy.qos import QoSProfile

from lseg_ros.core.cameras import Camera, parse_cameras
from lseg_ros.dashboard.label_changes import (
    LabelEdit,
    groups_of_file,
    groups_to_restore,
    is_written_as,
    moved,
    specs_of,
)
from lseg_ros.dashboard.label_history import LabelHistory
from lseg_ros.dashboard.latency_plot import HISTORY_S, Sample
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelClass, LabelError, LabelSet
from lseg_ros.labels.files import LabelFile
from lseg_ros.labels.syntax import parse_label, quote
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.dashboard.camera_feeds import CameraFeeds
from lseg_ros.nodes.dashboard.feeds import LINGER_S, TEND_S, Feed
from lseg_ros.nodes.dashboard.reports import NO_STATE, TRANSITIONS, NodeInfo, Part, latency_sample, part_of
from lseg_ros.nodes.label_messages import label_set_from_message
from lseg_ros.nodes.label_modes import ADD, REPLACE
from lseg_ros.nodes.latched import EVERY_TABLE
from lseg_ros.nodes.steady import steady_timer
from lseg_ros.srv import QueryText, SetLabels

LOOK_S = 1.0
PATIENCE_S = 2.0  # with a node that should answer at once
TABLES_KEPT = 16
STALE_S = 5.0  # diagnostics come every second
CHANGED_MEANWHILE = 'somebody else has changed the labels meanwhile: look at them, then try again'


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
        self._parameters = Feed(node, ParameterEvent, '/parameter_events', self._take_parameters, QoSProfile(depth=10))
        self._cameras: Mapping[str, CameraFeeds] = MappingProxyType({})
        self._labels = LabelHistory()
        self._table_came = threading.Condition()
        self._tables_since_request: deque[tuple[LabelClass, ...]] = deque(maxlen=TABLES_KEPT)
        self._changing_labels = threading.Lock()
        self._samples: dict[str, deque[Sample]] = {}
        self._reported_at = -float('inf')
        self._watched_until = -float('inf')
        self._lock = threading.Lock()
        self._state = RobotState()
        self._closing = threading.Event()
        self._must_look = threading.Event()
        self._tables = self._tables_of(Camera(''))
        self._use_cameras(('',))
        steady_timer(node, TEND_S, self._tend)
        self._thread = threading.Thread(target=self._look_on, name='dashboard observer', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching; return once the last look is over, which a silent node may delay."""
        self._closing.set()
        self._must_look.set()
        self._thread.join()

    def watch(self, camera: str) -> None:
        """Keep the state and the pictures of a camera up to date for the next seconds."""
        self._watched_until = time.monotonic() + LINGER_S
        for feed in (self._diagnostics, self._parameters, self._tables):
            feed.want()
        if feeds := self.camera(camera):
            feeds.want()

    @property
    def state(self) -> RobotState:
        """The state as it is known now."""
        return self._state

    def camera(self, name: str) -> CameraFeeds | None:
        """Return the topics of a camera, or None if the node has no such camera."""
        return self._cameras.get(name)

    def set_labels(self, labels: Sequence[str], mode: str, groups: Sequence[str] = ()) -> SetLabels.Response:
        """Change the labels as ~/set_labels does; raise TimeoutError without an answer."""
        self._check_running()
        with self._changing_labels:
            return self._ask_for_labels(labels, mode, groups)

    def edit_label(self, edit: LabelEdit) -> SetLabels.Response:
        """Make a user's changes of a label, keeping those of others; raise as `set_labels`."""
        self._check_running()
        with self._changing_labels:
            present = self._labels.current
            if present is None or edit.name not in present.names:
                return SetLabels.Response(message=f'label {quote(edit.name)} is not in the set any more')
            labels, groups = [edit.spec] if edit.spec else [], edit.groups(present)
            return self._ask_for_labels(labels, ADD, groups) if labels or groups else SetLabels.Response(success=True)

    def load_labels(self, file: LabelFile) -> SetLabels.Response:
        """Replace labels and groups by those of a file; raise as `set_labels`, and LabelError."""
        self._check_running()
        with self._changing_labels:
            return self._ask_for_labels(file.labels, REPLACE, groups_of_file(file))

    def move_label(self, name: str, step: int) -> SetLabels.Response:
        """Move a label so many places later, or earlier; raise as `set_labels`."""
        self._check_running()
        with self._changing_labels:
            if self._has_changed_unseen():
                return SetLabels.Response(message=CHANGED_MEANWHILE)
            present = self._labels.current
            if present is None or name not in present.names:
                return SetLabels.Response(message=f'label {quote(name)} is not in the set any more')
            return self._ask_for_labels(moved(present, name, step), REPLACE)

    def undo_labels(self) -> SetLabels.Response:
        """Bring back labels, order and groups before the last change, whoever made it.

        Raise as `set_labels`.
        """
        self._check_running()
        with self._changing_labels:
            if self._has_changed_unseen():
                return SetLabels.Response(message=CHANGED_MEANWHILE)
            present, earlier = self._labels.current, self._labels.go_back()
            if present is None or earlier is None:
                return SetLabels.Response(message='there is no earlier set of labels')
            try:
                return self._ask_for_labels(specs_of(earlier), REPLACE, groups_to_restore(present, earlier))
            finally:
                self._labels.stay()

    def _has_changed_unseen(self) -> bool:
        """Look at the labels; return whether somebody else has changed them since the last look.

        To replace them would then lose that change.
        """
        last = self._labels.previous
        specs = self._observer.get_parameter('labels') or ()
        self._note_order(specs)
        present = self._labels.current
        return self._labels.previous is not last or (present is not None and not is_written_as(present, specs))

    def _ask_for_labels(self, labels: Sequence[str], mode: str, groups: Sequence[str] = ()) -> SetLabels.Response:
        self._tables_since_request.clear()
        response = self._client.set_labels(labels, mode, groups)
        if response.success:
            changed = label_set_from_message(response.label_set)
            if not self._has_come(changed):
                self._take_labels(changed)
            with suppress(TimeoutError):  # the observer looks again
                self._note_order(self._observer.get_parameter('labels'))
        return response

    def _has_come(self, labels: LabelSet) -> bool:
        """Wait for the topic to bring `labels`, in their place among the changes of others.

        Return whether it brought anything since the request.
        """
        if not self._tables.is_open or not self._node.count_publishers(self._tables.topic):
            return False
        with self._table_came:
            self._table_came.wait_for(lambda: labels.classes in self._tables_since_request, PATIENCE_S)
            return bool(self._tables_since_request)

    def _note_order(self, specs: Sequence[str] | None) -> None:
        """Take the labels as they are written; nobody may be changing them."""
        with suppress(LabelError):  # of a node whose labels cannot be used yet
            self._labels.note_order([name for name, _ in map(parse_label, specs or ())])
            self._show_labels()

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
        for feed in (self._diagnostics, self._parameters, self._tables):
            feed.tend()
        for camera in self._cameras.values():
            camera.tend()
        if self._state.parts and time.monotonic() > self._reported_at + STALE_S:
            self._update(parts=MappingProxyType({}))

    def _use_cameras(self, names: tuple[str, ...]) -> None:
        for feeds in self._cameras.values():
            feeds.close()
        cameras = parse_cameras(names)
        self._cameras = MappingProxyType(
            {camera.name: CameraFeeds(self._node, self.target, camera, lambda: self.on_picture()) for camera in cameras}
        )
        self._tables.close()
        self._tables = self._tables_of(cameras[0])

    def _tables_of(self, camera: Camera) -> Feed:
        """Return the tables of one camera: all have the same labels, but each at its own time."""
        topic = f'{self.target}/{camera.input("label_set")}'
        return Feed(self._node, LabelSetMessage, topic, self._take_table, EVERY_TABLE)

    def _take_table(self, message: LabelSetMessage) -> None:
        labels = label_set_from_message(message)
        self._take_labels(labels)
        self._must_look.set()  # at the order
        with self._table_came:
            self._tables_since_request.append(labels.classes)
            self._table_came.notify_all()

    def _take_parameters(self, event: ParameterEvent) -> None:
        if event.node == self._full_name and any(each.name == 'labels' for each in event.changed_parameters):
            self._must_look.set()

    def _take_labels(self, labels: LabelSet) -> None:
        self._labels.note(labels)
        self._show_labels()

    def _show_labels(self) -> None:
        self._update(labels=self._labels.current, can_undo=self._labels.previous is not None)

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
        while not self._closing.is_set():
            self._must_look.wait(LOOK_S)
            self._must_look.clear()
            if time.monotonic() < self._watched_until and not self._state.pending:
                is_settled = self._changing_labels.acquire(blocking=False)
                try:
                    self._update(info=self._look())
                    if is_settled:
                        self._note_order(self._state.info.labels)
                finally:
                    if is_settled:
                        self._changing_labels.release()

    def _look(self) -> NodeInfo:
        last = self._state.info
        try:
            state = self._observer.state()
            values = self._observer.get_parameters(
                ('cameras', 'overlay_alpha', 'labels')
            )  # in one call, which costs less
        except TimeoutError as error:
            return replace(last, state=NO_STATE, problem=self._why(str(error)), labels=())
        cameras, alpha, labels = (values.get(name) for name in ('cameras', 'overlay_alpha', 'labels'))
        try:
            return NodeInfo(state, '', self._showable(cameras or ()), alpha, tuple(labels or ()))
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
