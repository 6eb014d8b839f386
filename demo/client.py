# SPDX-License-Identifier: Apache-2.0
"""The demo's robot: asks labels of a running segmentation node and keeps what comes back.

A process of its own, it uses nothing but the node's topics and services: it brings the lifecycle
node up, calls `set_labels` while frames flow, and saves the pictures and figures of each set.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image

from lseg_ros.labels.ids import OTHER
from lseg_ros.labels.syntax import topic_name
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.conversions import image_to_rgb
from lseg_ros.srv import SetLabels
from service_caller import REPLY_TIMEOUT_S, SEGMENTATION_NODE, ServiceCaller, start_spinning

MASKS_SHOWN = 3
KEPT_MESSAGES = 60
COUNTERS = ('images received', 'frames published', 'images dropped')


class SegmentationClient(ServiceCaller):
    """Keeps the last messages of the node's topics, by stamp, and calls its services."""

    def __init__(self) -> None:
        super().__init__('lseg_demo_client')
        self._arrival = threading.Condition()
        self._messages: dict[str, dict[int, Image]] = defaultdict(dict)
        self._first_seen: dict[int, float] = {}
        self._latencies_ms: list[float] = []
        self._diagnostics: list[dict[str, str]] = []
        self.create_subscription(Image, 'image', self._keeper('image'), qos_profile_sensor_data)
        for topic in ('label_image', 'overlay'):
            self._watch(topic)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._keep_diagnostics, 10)

    def set_labels(self, labels: tuple[str, ...]) -> tuple[SetLabels.Response, float]:
        """Replace the labels; returns the answer and when it came (time.monotonic, seconds)."""
        request = SetLabels.Request(labels=list(labels), mode=SetLabels.Request.MODE_REPLACE)
        answer = self.call(SetLabels, 'set_labels', request)
        if not answer.success:
            raise RuntimeError(f'set_labels refused {list(labels)}: {answer.message}')
        return answer, time.monotonic()

    def wait_for_label_image(self, since_ns: int) -> tuple[Image, float]:
        """First label image stamped at or after since_ns, and when it arrived (monotonic)."""
        stamp = self._wait(
            lambda: min((s for s in self._messages['label_image'] if s >= since_ns), default=None),
            'a label image under the new labels',
        )
        return self._messages['label_image'][stamp], self._first_seen[stamp]

    def wait_for_frame(self, topics: list[str], since_ns: int) -> dict[str, Image]:
        """One message of every topic, all of the same stamp, at or after since_ns."""
        for topic in topics:
            self._watch(topic)

        def complete_stamp() -> int | None:
            common = set.intersection(*(set(self._messages[topic]) for topic in topics))
            return max((stamp for stamp in common if stamp >= since_ns), default=None)

        stamp = self._wait(complete_stamp, f'one frame of {", ".join(topics)}')
        return {topic: self._messages[topic][stamp] for topic in topics}

    def wait_for_frames(self, count: int) -> None:
        """Return when `count` more label images have come."""
        target = len(self._latencies_ms) + count
        self._wait(lambda: len(self._latencies_ms) >= target or None, f'{count} label images')

    def measurements(self) -> dict[str, object]:
        """Latency of every label image so far (ms), and what the node counted meanwhile."""
        seen = len(self._diagnostics)
        self._wait(lambda: len(self._diagnostics) > seen or None, 'diagnostics')
        first, last = self._diagnostics[0], self._diagnostics[-1]
        counted = {key: int(last[key]) - int(first.get(key, 0)) for key in COUNTERS}
        return {'latency_ms': list(self._latencies_ms), **counted}

    def _watch(self, topic: str) -> None:
        name = f'/{SEGMENTATION_NODE}/{topic}' if topic != 'image' else 'image'
        if not any(s.topic_name.endswith(name) for s in self.subscriptions):
            self.create_subscription(Image, name, self._keeper(topic), QoSProfile(depth=10))

    def _keeper(self, topic: str) -> Callable[[Image], None]:
        def keep(message: Image) -> None:
            stamp = Time.from_msg(message.header.stamp)
            with self._arrival:
                kept = self._messages[topic]
                kept[stamp.nanoseconds] = message
                while len(kept) > KEPT_MESSAGES:
                    del kept[next(iter(kept))]
                if topic == 'label_image':
                    self._first_seen[stamp.nanoseconds] = time.monotonic()
                    age = self.get_clock().now() - stamp
                    self._latencies_ms.append(age.nanoseconds / 1e6)
                self._arrival.notify_all()

        return keep

    def _keep_diagnostics(self, message: DiagnosticArray) -> None:
        with self._arrival:
            self._diagnostics += [
                {item.key: item.value for item in status.values}
                for status in message.status
                if status.name.startswith(SEGMENTATION_NODE)
            ]
            self._arrival.notify_all()

    def _wait(self, condition: Callable[[], int | None], what: str) -> int:
        with self._arrival:
            if not self._arrival.wait_for(lambda: condition() is not None, REPLY_TIMEOUT_S):
                raise TimeoutError(
                    f'waited {REPLY_TIMEOUT_S:.0f} s in vain for {what}; '
                    f'the node says: {self._diagnostics[-1:] or "nothing"}'
                )
            return condition()


def show_label_set(
    client: SegmentationClient, labels: tuple[str, ...], folder: Path, frames: int
) -> float:
    """Ask one label set, save its pictures; returns ms from the answer to the first new mask."""
    answer, answered = client.set_labels(labels)
    since_ns = Time.from_msg(answer.label_set.header.stamp).nanoseconds
    first, arrived = client.wait_for_label_image(since_ns)
    masks = [f'masks/{topic_name(name)}' for name in _largest_classes(first, answer.label_set)]
    frame = client.wait_for_frame(['image', 'label_image', 'overlay', *masks], since_ns)
    _save_pictures(frame, answer.label_set, folder)
    client.wait_for_frames(frames)
    return (arrived - answered) * 1e3


def _largest_classes(label_image: Image, label_set: LabelSet) -> list[str]:
    """Names of the classes, `other` apart, that hold most of the image, the largest first."""
    pixels = np.bincount(np.frombuffer(label_image.data, np.uint8), minlength=256)
    asked = [entry for entry in label_set.classes if entry.id != OTHER]
    asked.sort(key=lambda entry: -pixels[entry.id])
    return [entry.name for entry in asked[:MASKS_SHOWN]]


def _save_pictures(frame: dict[str, Image], label_set: LabelSet, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    palette = np.zeros((256, 3), np.uint8)
    for entry in label_set.classes:
        palette[entry.id] = [
            round(255 * channel) for channel in (entry.color.r, entry.color.g, entry.color.b)
        ]
    for topic, message in frame.items():
        pixels = image_to_rgb(message)
        if topic == 'label_image':
            pixels = palette[pixels[..., 0]]
        name = 'input' if topic == 'image' else topic.replace('masks/', 'mask_')
        # OpenCV lets the other threads run meanwhile: latencies are measured there.
        cv2.imwrite(str(folder / f'{name}.png'), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def main() -> int:
    """Bring the node up, ask each label set, save pictures and figures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', type=Path, required=True, help='folder for the pictures')
    parser.add_argument('--requests', required=True, help='JSON: [[name, [label, …]], …]')
    parser.add_argument('--frames', type=int, default=20, help='label images to time per set')
    args, ros_args = parser.parse_known_args()
    rclpy.init(args=ros_args)
    client = SegmentationClient()
    spinning = start_spinning(client)
    try:
        client.bring_up()
        client.wait_for_frames(1)  # labels are changed while frames flow
        changes = {
            name: show_label_set(client, tuple(labels), args.output / name, args.frames)
            for name, labels in json.loads(args.requests)
        }
        figures = {'label_change_ms': changes, **client.measurements()}
        (args.output / 'figures.json').write_text(json.dumps(figures))
        return 0
    except (TimeoutError, RuntimeError) as error:
        print(f'demo client: {error}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
        spinning.join()


if __name__ == '__main__':
    sys.exit(main())
