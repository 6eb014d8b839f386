# SPDX-License-Identifier: Apache-2.0
"""Whatever a camera sends is segmented under its own header and the labels in force, or counted."""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import cache
from itertools import count

import numpy as np
import pytest
from harness import RELIABLE, TIMEOUT_S, Client, ids_of, output, running, stamp_of
from hypothesis import given
from hypothesis import strategies as st
from message_strategies import SIDES, camera_infos, compressed_images, depth_images, images, label_lists, mostly, up_to
from oracle import oracle_in_node
from oracle_answers import right_ids
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from test_camera_info import camera_info
from test_points import points_of

from lseg_ros.core.depth_matcher import OPEN
from lseg_ros.core.geometry import DECISION_PIXELS
from lseg_ros.core.statistics import StreamReport
from lseg_ros.labels import LabelError
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.conversions import array_to_image, compressed_to_rgb, image_to_rgb, stamp_ns
from lseg_ros.nodes.label_modes import REPLACE
from lseg_ros.nodes.segmentation.frames import LAST_NS, Arrival
from lseg_ros.nodes.segmentation.session import Session
from lseg_ros.nodes.segmentation.settings import Settings

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]

TABLES = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OUTCOMES = ('published', 'dropped', 'bad', 'failed')
TOPICS = {
    'label_image': Image,
    'confidence': Image,
    'masks/other': Image,
    'overlay': Image,
    'camera_info': CameraInfo,
    'points': PointCloud2,
}


@cache
def messages_of_size(side):
    """Draw what a camera sends whose images are mostly of this width and height."""
    sides = mostly(st.just(side), SIDES)
    image = st.tuples(st.just('image'), images(sides=sides) | compressed_images())
    info = st.tuples(st.just('camera_info'), camera_infos(sides))
    depth = st.tuples(st.just('depth'), depth_images(sides))
    return up_to(24, image | info | depth)


class Rig:
    """A running stream whose network is the oracle, and a client that keeps all its outputs."""

    def __init__(self, node: Node, client: Client, session: Session, problems: list[str]) -> None:
        self._client = client
        self._session = session
        self._problems = problems
        self._stream = session.open(Settings(labels=('floor', 'door'), depth_slop=1.0))
        self._stream.start()
        self._camera = self._stream.cameras['']
        self._table = LabelSet()  # the last that the client received before these messages
        self._numbers = count()
        for topic, kind in TOPICS.items():
            client.listen(output(topic), kind, RELIABLE)
        client.listen(output('label_set'), LabelSet, TABLES)
        topics = [f'{client.namespace}/lseg/{topic}' for topic in TOPICS]
        client.poll(lambda: all(map(node.count_subscribers, topics)), 'the client to subscribe')
        client.poll(lambda: self.send([('image', good_image())])['published'], 'a frame')

    def _change_labels(self, labels: list[str]) -> None:
        """Replace the labels, unless they are refused with a reason."""
        error = self._session.change_labels(REPLACE, labels).exception()
        assert error is None or (isinstance(error, LabelError) and str(error))

    def send(
        self, messages: list[tuple[str, Image]], labels: list[str] | None = None, paced: bool = True
    ) -> Counter[str]:
        """Offer the messages; check that each image was segmented, refused or replaced.

        Change the labels before, unless they are None. If `paced`, let each image be finished
        before the next message. Good frames follow, until none of the images can wait for depth any
        more: once the client has the last on every topic, nothing of this call can reach it during
        the next. Return the number of images by outcome.
        """
        before = self._camera.statistics.report()
        self._problems.clear()
        if tables := self._client.forget().get(output('label_set')):
            self._table = tables[-1]
        if labels is not None:
            self._change_labels(labels)
        for kind, message in messages:
            self._offer(kind, message)
            if paced:
                self._await_events_since(before)
        self._await_events_since(before)
        offered = [message for kind, message in messages if kind == 'image']
        for _ in range(OPEN):
            for kind, message in self._good_frame():
                self._offer(kind, message)
            offered.append(message)
            events = self._await_events_since(before)
        for topic in TOPICS:
            self._client.wait_for_header(output(topic), message.header)
        self._check_counts(offered, events, paced)
        self._check_frames(offered, events['published'])
        return events

    def _good_frame(self) -> list[tuple[str, Image]]:
        """Return CameraInfo, depth and at last a good image, just after the newest frame."""
        newest = self._camera.last_frame
        stamp_ns = newest.stamp_ns + 1 if newest and newest.stamp_ns < LAST_NS else 0
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=f'good {next(self._numbers)}')
        return [
            ('camera_info', camera_info(header=header, width=4, height=4, cx=2.0, cy=2.0, d=[0.0] * 5)),
            ('depth', array_to_image(np.full((4, 4), 1000, np.uint16), '16UC1', header)),
            ('image', array_to_image(np.full((4, 4, 3), 100, np.uint8), 'rgb8', header)),
        ]

    def _offer(self, kind: str, message: Image) -> None:
        if kind == 'image':
            self._stream.offer('', Arrival(message, decoder_of(message)))
        elif kind == 'depth':
            self._stream.offer_depth('', message)
        else:
            self._camera.geometry.infos.add(message)

    def _await_events_since(self, before: StreamReport) -> Counter[str]:
        """Return what has become of the images received since, once none is under way."""
        end = time.monotonic() + TIMEOUT_S
        while True:
            after = self._camera.statistics.report()
            counts = Counter({outcome: getattr(after, outcome) - getattr(before, outcome) for outcome in OUTCOMES})
            received = after.received - before.received
            if counts.total() == received:
                return counts
            assert time.monotonic() < end, f'{received} received, but {counts}'
            self._stream.between_batches(lambda _: None)

    def _check_counts(self, offered: list[Image], events: Counter[str], paced: bool) -> None:
        assert events.total() == len(offered)
        assert not events['failed'], self._problems
        reasons = Counter(reason for reason in map(refusal, offered) if reason)
        assert events['bad'] == len(self._problems)
        assert Counter(self._problems) <= reasons
        assert events['published'] <= len(offered) - reasons.total()
        if paced:  # then none is replaced by the next
            assert Counter(self._problems) == reasons
            assert events['published'] == len(offered) - reasons.total()

    def _check_frames(self, offered: list[Image], count: int) -> None:
        received = self._client.received
        for topic in ('label_image', 'confidence', 'masks/other', 'overlay'):
            self._client.wait_for(lambda topic=topic: len(received[output(topic)]) == count, f'{count} on {topic}')
        pictures = [(message.header, decode(message)) for message in offered if not refusal(message)]
        for topic in TOPICS:
            for message in received[output(topic)]:
                size = (message.height, message.width)
                known = any(message.header == header and size == pixels.shape[:2] for header, pixels in pictures)
                assert known, f'{topic}: {message.header}, {size}'
        right = right_ids(self._session.table.labels.classes)
        for message in received[output('label_image')]:
            ids = ids_of(message)
            assert any(message.header == header and are_right(ids, pixels, right) for header, pixels in pictures)
        for message in received[output('points')]:
            same = [ids_of(each) for each in received[output('label_image')] if each.header == message.header]
            assert any(np.array_equal(points_of(message)['label'], ids) for ids in same)
        assert self._client.soon(self._are_tables_before_frames, seconds=TIMEOUT_S), self._tables_and_frames()

    def _are_tables_before_frames(self) -> bool:
        """Return whether the last table before each label image has the labels in force for it."""
        table, names = self._table, self._session.table.labels.names
        for message in self._client.in_order_of_sending(output('label_set'), output('label_image')):
            if isinstance(message, LabelSet):
                table = message
            elif stamp_of(table) > stamp_of(message) or _names(table) != names:
                return False
        self._table = table
        return True

    def _tables_and_frames(self) -> str:
        """Return, for the message of a failure, what came in the order of sending."""
        sent = self._client.in_order_of_sending(output('label_set'), output('label_image'))
        lines = [
            f'in force: {self._session.table.labels.names}',
            f'publishers of tables: {self._client.node.count_publishers(output("label_set"))}',
            *(f'{stamp_of(each)}: {_names(each) or "label image"}' for each in (self._table, *sent)),
        ]
        return '\n'.join(lines)


def _names(message: LabelSet | Image) -> tuple[str, ...]:
    return tuple(each.name for each in getattr(message, 'classes', ()))


def are_right(ids: np.ndarray, pixels: np.ndarray, right: np.ndarray) -> bool:
    """Return whether these are the ids of a picture.

    Pictures of more than DECISION_PIXELS, as a damaged header may claim, are decided coarsely.
    """
    if ids.shape != pixels.shape[:2]:
        return False
    return bool((right[pixels[..., 0], ids] if ids.size <= DECISION_PIXELS else right.any(0)[ids]).all())


def good_image() -> Image:
    """Return an image that can be segmented."""
    return array_to_image(np.full((4, 4, 3), 100, np.uint8), 'rgb8', Header())


def decoder_of(message):
    return image_to_rgb if isinstance(message, Image) else compressed_to_rgb


def decode(message) -> np.ndarray:
    return decoder_of(message)(message)


def refusal(message) -> str:
    """Return the problem to be reported for an image; empty if it can be segmented."""
    try:
        stamp_ns(message.header)
        decode(message)
    except ValueError as error:
        return f'bad image: {error}'
    return ''


@pytest.fixture(scope='module')
def rig(ros_context):
    """The rig, with a node of its own; its first frame has been received."""
    problems: list[str] = []
    namespace = f'/fuzz_images_{os.getpid()}'  # or another run in this domain would send tables, too
    client = Client(ros_context, namespace)
    node = Node('lseg', context=ros_context, namespace=namespace)
    with oracle_in_node(), running(client.node), running(node):
        session = Session(node, Settings(), problems.append)
        try:
            yield Rig(node, client, session, problems)
        finally:
            session.close()


@given(
    messages=SIDES.flatmap(messages_of_size),
    labels=st.none() | label_lists(),
    paced=mostly(st.just(True), st.just(False)),
)
def test_every_image_is_segmented_under_its_header_and_labels_or_counted(rig, tally, messages, labels, paced):
    outcomes = rig.send(messages, labels, paced)
    tally.update({f'images {outcome}': count for outcome, count in outcomes.items()})
    tally.update({'messages': len(messages), 'label changes': labels is not None})
