# SPDX-License-Identifier: Apache-2.0
"""Colour images of a bag with the depth, calibration and transforms that belong to them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from lseg_ros.core.depth_matcher import OPEN, DepthMatcher
from lseg_ros.core.lens import CameraInfoMessage
from lseg_ros.mapping.transforms import StampedTransform, TransformTree
from lseg_ros.media.bags import (
    COMPRESSED_IMAGE,
    IMAGE,
    TF_MESSAGE,
    BagError,
    BagMessage,
    BagReader,
    shows_depth,
    to_rgb,
)
from lseg_ros.media.ros_images import image_to_depth, to_nanoseconds

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_SLOP_S = 0.02  # between an image and its depth
_KEPT_INFOS = 16


@dataclass(frozen=True)
class CameraTopics:
    """The topics of one camera."""

    image: str
    depth: str
    info: str


@dataclass(frozen=True)
class RgbdFrame:
    """An image, uint8 RGB [H, W, 3], its depth [H, W], and where and when it was taken.

    Depth is uint16 in millimetres or float32 in metres.
    """

    image: np.ndarray
    depth: np.ndarray
    info: CameraInfoMessage
    frame_id: str
    stamp_ns: int


class RgbdBag:
    """An open bag with RGB-D cameras and tf; also a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        """Open the bag; raise BagError if it is not a bag, or too damaged to be read."""
        try:
            self._bag = BagReader(path)
        except BagError as error:
            raise BagError(f'{path}: {error}') from error
        self._path = path
        self._breaks: list[str] = []
        self.drops: Counter[str] = Counter()  # images not used, by reason

    def __enter__(self) -> RgbdBag:
        return self

    def __exit__(self, *_: object) -> None:
        self._bag.close()

    @property
    def damaged(self) -> list[str]:
        """Which parts are damaged, as far as the bag has been read, and why; the rest is used."""
        return [*self._bag.damaged, *self._breaks]

    def camera(self, image: str = '', depth: str = '', info: str = '') -> CameraTopics:
        """Return the topics of a camera; those that are not given are found.

        The image is the only colour topic, depth has the size and frame of the image, and the
        calibration is the camera_info beside it. Raise BagError, naming the topics that there
        are, if that leaves none or several.
        """
        try:
            return self._camera(image, depth, info)
        except BagError as error:
            raise BagError('; '.join([f'{self._path}: {error}', *self.damaged])) from error

    def _camera(self, image: str, depth: str, info: str) -> CameraTopics:
        image = self._bag.image_topic(image)
        faults: list[str] = []
        shown = next(self._bag.images(image, faults), None)
        if shown is None:
            raise BagError(f'no readable image on {image}: {", ".join(faults[:1]) or "it is empty"}')
        height, width, _ = shown.pixels.shape
        seen = _Seen(width, height, shown.header.frame_id)
        return CameraTopics(image, depth or self._depth_of(image, seen), info or self._info_of(image, seen))

    def count(self, cameras: Sequence[CameraTopics]) -> int:
        """Return the number of images of cameras."""
        return sum(self._bag.count(camera.image) for camera in cameras)

    def transforms(self) -> TransformTree:
        """Return what the topics tf and tf_static hold; raise BagError without any.

        Transforms that are not finite are left out, as in tf2. Raise BagError if a frame moves by
        several topics, too: mixed, they would put it where neither has it.
        """
        topics = [topic for topic in self._bag.topics(TF_MESSAGE) if topic.split('/')[-1] in ('tf', 'tf_static')]
        found: list[StampedTransform] = []
        moved_by: dict[str, str] = {}
        for message in self._messages(topics, []):
            for each in message.content.transforms:
                stamp = None if message.topic.endswith('tf_static') else to_nanoseconds(each.header.stamp)
                child, parent = each.child_frame_id.lstrip('/'), each.header.frame_id.lstrip('/')
                if stamp is not None and (other := moved_by.setdefault(child, message.topic)) != message.topic:
                    raise BagError(
                        f'{self._path}: frame {child} moves by {other} and by {message.topic}, as those of two '
                        'robots do: keep the topics of one of them (ros2 bag convert)'
                    )
                try:
                    found.append(StampedTransform.of(child, parent, stamp, each.transform))
                except ValueError:
                    continue
        if not found:
            raise BagError(f'{self._path}: no transforms: the bag needs the topics /tf and, mostly, /tf_static')
        return TransformTree(found)

    def frames(self, cameras: Sequence[CameraTopics]) -> Iterator[RgbdFrame | None]:
        """Yield the frames of cameras, about in the order of recording.

        Yield None for an image without depth or calibration, or that cannot be read, and count it
        in `drops`.
        """
        matchers = [_FrameMatcher(camera) for camera in cameras]
        faults: list[str] = []
        for message in self._messages({topic for each in matchers for topic in each.topics}, faults):
            for matcher in matchers:
                yield from map(self._decoded, matcher.take(message.topic, message.content))
        for matcher in matchers:
            yield from map(self._decoded, matcher.rest())
        self.drops.update(faults)

    def _messages(self, topics: Collection[str], faults: list[str]) -> Iterator[BagMessage]:
        """Yield the messages of topics, up to where the bag is damaged."""
        try:
            yield from self._bag.messages(topics, faults)
        except BagError as error:
            self._breaks.append(str(error))

    def _decoded(self, matched: tuple[Any, Any, Any]) -> RgbdFrame | None:
        image, depth, info = matched
        for part, name in ((depth, 'depth'), (info, 'camera_info')):
            if part is None:
                self.drops[f'no {name} of the time of the image'] += 1
                return None
        try:
            frame = image.header.frame_id.lstrip('/')
            return RgbdFrame(to_rgb(image), image_to_depth(depth), info, frame, to_nanoseconds(image.header.stamp))
        except ValueError as error:
            self.drops[str(error)] += 1
            return None

    def _depth_of(self, image: str, seen: _Seen) -> str:
        firsts = {topic: self._bag.first(topic) for topic in self._bag.topics(IMAGE)}
        depths = {topic: _Seen.of(first) for topic, first in firsts.items() if first and shows_depth(first)}
        fitting = [topic for topic, shown in depths.items() if shown == seen]
        if len(fitting) == 1:
            return fitting[0]
        compressed = [topic for topic in self._bag.topics(COMPRESSED_IMAGE) if 'epth' in topic]
        listing = [f'{topic} ({shown})' for topic, shown in depths.items()]
        listing += [f'{topic} (compressed, which cannot be read)' for topic in compressed]
        raise BagError(
            f'{"several topics have" if fitting else "no topic has"} depth aligned to {image} ({seen}), '
            f'that is, with its size and frame; there is {", ".join(listing) or "no depth at all"}: '
            'choose with --depth'
        )

    def _info_of(self, image: str, seen: _Seen) -> str:
        topics = self._bag.topics(CAMERA_INFO)
        folder = image.removesuffix('/compressed').rpartition('/')[0]
        if f'{folder}/camera_info' in topics:
            return f'{folder}/camera_info'
        firsts = {topic: self._bag.first(topic) for topic in topics}
        fitting = [topic for topic, first in firsts.items() if first and _Seen.of(first) == seen]
        if len(fitting) == 1:
            return fitting[0]
        raise BagError(
            f'{"several topics are" if fitting else "no topic is"} the camera_info of {image}; '
            f'there is {", ".join(topics) or "none at all"}: choose with --camera-info'
        )


@dataclass(frozen=True)
class _Seen:
    """The size and frame of an image, depth or calibration."""

    width: int
    height: int
    frame: str

    @classmethod
    def of(cls, message: Any) -> _Seen:
        return cls(message.width, message.height, message.header.frame_id)

    def __str__(self) -> str:
        return f'{self.width} x {self.height} in frame {self.frame}'


class _FrameMatcher:
    """Puts the images of a camera together with the depth and calibration nearest in time."""

    def __init__(self, camera: CameraTopics) -> None:
        self.topics = (camera.image, camera.depth, camera.info)
        self._depths: DepthMatcher[Any] = DepthMatcher(_SLOP_S)
        self._infos: deque[Any] = deque(maxlen=_KEPT_INFOS)
        self._waiting: deque[Any] = deque()

    def take(self, topic: str, message: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Take a message; yield the image, depth and calibration that are complete by now."""
        image, depth, info = self.topics
        if topic == depth:
            self._depths.add(to_nanoseconds(message.header.stamp), message)
        elif topic == info:
            self._infos.append(_as_in_ros2(message))
        elif topic == image:
            if len(self._waiting) == OPEN:
                yield self._matched(self._waiting.popleft())
            self._depths.begin(to_nanoseconds(message.header.stamp))
            self._waiting.append(message)

    def rest(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield those that are left at the end."""
        while self._waiting:
            yield self._matched(self._waiting.popleft())

    def _matched(self, image: Any) -> tuple[Any, Any, Any]:
        stamp_ns = to_nanoseconds(image.header.stamp)
        info = min(self._infos, key=lambda each: abs(to_nanoseconds(each.header.stamp) - stamp_ns), default=None)
        return image, self._depths.find(stamp_ns), info


def _as_in_ros2(info: Any) -> Any:
    """Return a CameraInfo with the names of ROS 2; those of ROS 1 are in capitals."""
    if hasattr(info, 'k'):
        return info
    fields = {name.lower() if len(name) == 1 else name: value for name, value in vars(info).items()}
    return SimpleNamespace(**fields)
