# SPDX-License-Identifier: Apache-2.0
"""What the map node receives of a camera: images with their depth, CameraInfo and pose."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException

from lseg_ros.core.cameras import Camera
from lseg_ros.core.depth_matcher import OPEN, DepthMatcher
from lseg_ros.core.table_history import TableHistory
from lseg_ros.labels import LabelSet
from lseg_ros.mapping.voxel_map import CLOCK_SLACK_S
from lseg_ros.msg import Embedding
from lseg_ros.nodes.camera_info import CameraInfoHistory
from lseg_ros.nodes.conversions import frame_conflict, stamp_ns
from lseg_ros.nodes.input_qos import best_effort, overridable
from lseg_ros.nodes.map.map_settings import MapNodeSettings

QUEUE = 5


@dataclass(frozen=True)
class CameraFrame:
    """An embedding or label image with what places it.

    The transform is from its camera to the map. A label image has the `labels` of its ids.
    """

    image: Embedding | Image
    labels: LabelSet | None
    depth: Image
    info: CameraInfo
    transform: TransformStamped


@dataclass(frozen=True)
class _Waiting:
    image: Embedding | Image
    stamp_ns: int
    arrived: float
    labels: LabelSet | None  # at its arrival, of the ids of a label image


class CameraInputs:
    """Subscribes to one camera and puts its frames together. For the executor's thread only."""

    def __init__(
        self,
        node: Node,
        camera: Camera,
        settings: MapNodeSettings,
        buffer: Buffer,
        tables: TableHistory | None,
        on_problem: Callable[[str], None],
    ) -> None:
        """Subscribe on `node`; transforms come from `buffer`.

        Labels of ids come from `tables`, which the caller fills; without them, the images are
        embeddings. `on_problem` is called when the clock was set back.
        """
        self.received = 0
        self.drops: Counter[str] = Counter()  # by reason
        self.ran_back = 0  # images older than the one before
        self.set_back = 0  # of these, those by more than CLOCK_SLACK_S
        self.conflict = ''  # which message of the last frame was in another frame of tf than the image
        self._node = node
        self._frame = settings.map_frame
        self._buffer = buffer
        self._tables = tables
        self._on_problem = on_problem
        self._depth: DepthMatcher[Image] = DepthMatcher(settings.depth_slop)
        self._infos = CameraInfoHistory()
        self._waiting: deque[_Waiting] = deque()
        self._newest_ns = 0
        self.topic = f'{settings.segmentation_node}/{camera.input(settings.input)}'
        self._subscriptions = [
            node.create_subscription(kind, topic, callback, best_effort(QUEUE), qos_overriding_options=overridable())
            for kind, topic, callback in (
                (Embedding if tables is None else Image, self.topic, self._take_image),
                (Image, camera.input('depth'), self._take_depth),
                (CameraInfo, camera.input('camera_info'), self._infos.add),
            )
        ]

    def complete(self, patience_s: float) -> list[CameraFrame]:
        """Return the frames that are complete by now; drop those that waited for too long.

        Drop a label image, too, for which a later table of labels holds than at its arrival, as
        when the segmentation node starts again: which of them it was made with is unknown.
        """
        frames = []
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if waiting.labels not in (None, self._labels_at(waiting.stamp_ns)):
                self.drops['another label_set arrived meanwhile'] += 1
                continue
            frame, lack = self._put_together(waiting)
            if frame is not None:
                frames.append(frame)
            elif time.monotonic() > waiting.arrived + patience_s:
                self.drops[lack] += 1
            else:
                self._waiting.append(waiting)
        return frames

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _take_image(self, message: Embedding | Image) -> None:
        self.received += 1
        try:
            image_ns = stamp_ns(message.header)
        except ValueError:
            self.drops['bad stamp'] += 1
            return
        if not image_ns:  # tf2 would take it for the latest transform, whenever the image was made
            self.drops['no stamp'] += 1
            return
        if image_ns < self._newest_ns:
            self.ran_back += 1
            self._follow_clock((self._newest_ns - image_ns) / 1e9)
        self._newest_ns = image_ns
        if len(self._waiting) >= OPEN:  # drop this one, or late transforms would find none that waits
            self.drops['too many wait for depth or transforms'] += 1
            return
        self._depth.begin(image_ns)
        self._waiting.append(_Waiting(message, image_ns, time.monotonic(), self._labels_at(image_ns)))

    def _labels_at(self, stamp_ns: int) -> LabelSet | None:
        return self._tables.at(stamp_ns) if self._tables is not None else None

    def _follow_clock(self, back_s: float) -> None:
        """Forget what was received before the clock was set back, as when a bag starts again.

        Transforms of the time before would outlast newer ones, as those with the latest stamps.
        """
        if back_s <= CLOCK_SLACK_S:
            return
        self.set_back += 1
        self._on_problem(f'the clock was set back by {back_s:.1f} s: waiting for new transforms')
        self.drops['the clock was set back'] += len(self._waiting)
        self._waiting.clear()
        self._buffer.clear()

    def _take_depth(self, message: Image) -> None:
        try:
            self._depth.add(stamp_ns(message.header), message)
        except ValueError:
            self._depth.refuse()

    def _put_together(self, waiting: _Waiting) -> tuple[CameraFrame | None, str]:
        """Return the frame, or what it lacks."""
        header, labels = waiting.image.header, self._labels_at(waiting.stamp_ns)
        depth, info = self._depth.find(waiting.stamp_ns), self._infos.at(waiting.stamp_ns)
        if depth is None:
            return None, 'no depth'
        if info is None:
            return None, 'no camera_info'
        if self._tables is not None and labels is None:
            return None, 'no label_set'
        try:
            transform = self._buffer.lookup_transform(self._frame, header.frame_id, Time.from_msg(header.stamp))
        except TransformException as error:
            return None, f'no transform: {type(error).__name__}'
        self._compare_frames(header, depth.header, info.header)
        return CameraFrame(waiting.image, labels, depth, info, transform), ''

    def _compare_frames(self, image: Header, depth: Header, info: Header) -> None:
        """Note, and say once, that places may be wrong: the messages are of different frames."""
        conflict = frame_conflict(image, depth=depth, camera_info=info)
        if conflict and conflict != self.conflict:
            self._on_problem(conflict)
        self.conflict = conflict
