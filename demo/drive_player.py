# SPDX-License-Identifier: Apache-2.0
"""The drive of a robot with three cameras, played to a running segmentation node and scored live.

A process of its own: it publishes image, depth and camera info of each camera, hears the node's
label images, points and overlays, compares them with the truth, and maps where one may drive.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from PIL import Image as Picture
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from sensor_msgs_py.point_cloud2 import dtype_from_fields
from std_msgs.msg import Header
from tqdm import tqdm

from drive_score import DriveScore
from lseg_lab.evaluation.drive_truth import CAMERAS
from lseg_ros.media.sources import Recording, Shot, open_source
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.camera.camera_node import camera_info_of
from lseg_ros.nodes.conversions import array_to_image, image_to_rgb
from service_caller import REPLY_TIMEOUT_S, SEGMENTATION_NODE, ServiceCaller, start_spinning

SOURCES = {'front': 'drive', 'left': 'drive/left', 'rear': 'drive/rear'}
SHOWN_FRAME = 30  # from which on the overlays of all three cameras are kept
SPACING_S = 0.02  # between the messages of a camera, as if it had to read them out
PATIENCE_S = 2.0  # without a result after the last frame; then none comes any more
RESULTS = QoSProfile(depth=50)  # they come three at a time, and scoring takes a while
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class DriveCamera:
    """One camera of the robot, on the network by itself as a camera's driver is.

    Three cameras that share a participant would share its small piece of shared memory too, and
    lose images.
    """

    def __init__(self, name: str) -> None:
        self.recording: Recording = open_source(SOURCES[name])
        self._frame_id = f'{name}_optical'
        self._context = rclpy.Context()
        self._context.init()
        self._node = rclpy.create_node('camera', namespace=name, context=self._context)
        self._image, self._depth, self._info = (
            self._node.create_publisher(kind, topic, qos_profile_sensor_data)
            for topic, kind in (('image', Image), ('depth', Image), ('camera_info', CameraInfo))
        )

    def show(self, shot: Shot, stamp: Time) -> None:
        """Publish one frame."""
        header = Header(stamp=stamp.to_msg(), frame_id=self._frame_id)
        self._info.publish(camera_info_of(self.recording.camera, header))
        self._depth.publish(array_to_image(shot.depth_mm, '16UC1', header))
        time.sleep(SPACING_S)
        self._image.publish(array_to_image(shot.image, 'rgb8', header))

    def close(self) -> None:
        """Leave the network."""
        self._node.destroy_node()
        self._context.shutdown()


class DrivePlayer(ServiceCaller):
    """The robot's cameras, and the consumer of what the node makes of them."""

    def __init__(self) -> None:
        super().__init__('lseg_demo_drive')
        self.overlays: dict[str, Image] = {}
        self.received = dict.fromkeys(('label_image', 'points'), 0)
        self.score: DriveScore | None = None
        self._numbers: dict[int, int] = {}  # of the frames, by stamp
        self._overlays: dict[int, dict[str, Image]] = {}
        self._dropped: dict[str, int] = {}  # by the node, of each camera
        self._table = threading.Event()
        self._arrival = threading.Condition()
        self._cameras = {name: DriveCamera(name) for name in CAMERAS}
        for name in CAMERAS:
            self._hear(name)
        self.create_subscription(
            LabelSet, f'/{SEGMENTATION_NODE}/{CAMERAS[0]}/label_set', self._take_table, LATCHED
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)

    def wait_for_table(self) -> None:
        """Return when the node has said which ids stand for what."""
        if not self._table.wait(REPLY_TIMEOUT_S):
            raise TimeoutError(f'/{SEGMENTATION_NODE} has sent no label set')

    def play(self, rate: float) -> int:
        """Show every frame, `rate` a second; return how many there were.

        As a robot's cameras do, it waits for nobody: the node leaves out what it has no time for.
        """
        shots = zip(*(camera.recording for camera in self._cameras.values()))
        progress = tqdm(
            enumerate(shots), 'drive', total=len(self.score), unit='frame', mininterval=1.0
        )
        started = time.monotonic()
        for number, frame in progress:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            stamp = self.get_clock().now()
            self._numbers[stamp.nanoseconds] = number
            for camera, shot in zip(self._cameras.values(), frame):
                camera.show(shot, stamp)
            progress.set_postfix_str(self.summary(number + 1), refresh=False)
        self._wait_for_the_last()
        return number + 1

    @property
    def dropped(self) -> int:
        """How many images the node has left out because newer ones came meanwhile."""
        return sum(self._dropped.values())

    def summary(self, frames: int) -> str:
        """Return the scores after so many frames of each camera, in a line."""
        by_camera = ' '.join(f'{name} {self.score.mean_iou(name):.2f}' for name in CAMERAS)
        return (
            f'mIoU {by_camera}, {self.received["label_image"]} of {frames * len(CAMERAS)} '
            f'images segmented, {self.dropped} dropped'
        )

    def close(self) -> None:
        """Take the cameras off the network."""
        for camera in self._cameras.values():
            camera.close()

    def _wait_for_the_last(self) -> None:
        """Return when results have ceased to come."""
        with self._arrival:
            while self._arrival.wait(PATIENCE_S):
                pass

    def _hear(self, name: str) -> None:
        for topic, kind, take in (
            ('label_image', Image, self._take_label_image),
            ('points', PointCloud2, self._take_points),
            ('overlay', Image, self._take_overlay),
        ):
            self.create_subscription(
                kind, f'/{SEGMENTATION_NODE}/{name}/{topic}', self._taker(name, take), RESULTS
            )

    def _taker(self, camera: str, take: Callable) -> Callable:
        """Return a callback that gives a message of a known frame to `take`."""

        def taken(message) -> None:
            number = self._numbers.get(Time.from_msg(message.header.stamp).nanoseconds)
            if number is None or self.score is None:
                return
            take(camera, number, message)
            with self._arrival:
                self._arrival.notify_all()

        return taken

    def _take_table(self, message: LabelSet) -> None:
        self.score = DriveScore(message)
        self._table.set()

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for item in status.values:
                if item.key == 'images dropped':
                    self._dropped[status.name] = int(item.value)

    def _take_label_image(self, camera: str, number: int, message: Image) -> None:
        ids = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        self.score.add_label_image(camera, number, ids)
        self.received['label_image'] += 1

    def _take_points(self, camera: str, number: int, message: PointCloud2) -> None:
        points = np.frombuffer(message.data, dtype_from_fields(message.fields))
        self.score.add_points(camera, number, points.reshape(message.height, message.width))
        self.received['points'] += 1

    def _take_overlay(self, camera: str, number: int, message: Image) -> None:
        if number >= SHOWN_FRAME and not self.overlays:
            of_frame = self._overlays.setdefault(number, {})
            of_frame[camera] = message
            if len(of_frame) == len(CAMERAS):
                self.overlays = of_frame


def save(player: DrivePlayer, frames: int, folder: Path) -> dict[str, float]:
    """Write cameras.png, map.png and figures.json; return the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    if player.overlays:
        overlays = [image_to_rgb(player.overlays[name]) for name in ('left', 'front', 'rear')]
        Picture.fromarray(np.hstack(overlays)).save(folder / 'cameras.png')
    Picture.fromarray(player.score.picture()).save(folder / 'map.png')
    figures = {f'mIoU {name}': player.score.mean_iou(name) for name in CAMERAS}
    shown, segmented = frames * len(CAMERAS), player.received['label_image']
    figures |= {
        'floor recall of the map': player.score.floor_recall,
        'obstacle misses of the map': player.score.obstacle_misses,
        'images shown': shown,
        'images dropped by the node': player.dropped,
        'images lost on the way': max(0, shown - segmented - player.dropped),
        'label images': segmented,
        'clouds': player.received['points'],
    }
    (folder / 'figures.json').write_text(json.dumps(figures, indent=2))
    return figures


def main() -> int:
    """Play the drive once, print the figures, save the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', type=Path, required=True, help='folder for the pictures')
    parser.add_argument(
        '--rate',
        type=float,
        default=5.0,
        help='frames a second of each camera (default: %(default)s, as recorded)',
    )
    args, ros_args = parser.parse_known_args()
    rclpy.init(args=ros_args)
    player = DrivePlayer()
    spinning = start_spinning(player)
    try:
        player.bring_up()
        player.wait_for_table()
        figures = save(player, player.play(args.rate), args.output)
    except (TimeoutError, RuntimeError) as error:
        print(f'demo drive: {error}', file=sys.stderr)
        return 1
    finally:
        player.close()
        rclpy.try_shutdown()
        spinning.join()
    for name, value in figures.items():
        print(f'{name:<28}{value:>8.3f}' if isinstance(value, float) else f'{name:<28}{value:>8}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
