# SPDX-License-Identifier: Apache-2.0
"""Receive what the segmentation node publishes during the drive and score it as it arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py.point_cloud2 import dtype_from_fields

from drive_score import DriveScore
from lseg_lab.evaluation.drive_truth import CAMERAS
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.latched import LATCHED

SHOWN_FRAME = 30  # keep the overlays of the first complete frame from here on
TABLE_TIMEOUT_S = 30.0
QUIET_S = 2.0  # without results: the drive is over
RESULTS = QoSProfile(depth=50)  # scoring is slower than a burst of results


class DriveListener(Node):
    """Subscribes to the node `lseg`; spin it in another thread."""

    def __init__(self) -> None:
        """Subscribe to the outputs of every camera, the label set and the diagnostics."""
        super().__init__('lseg_demo_drive')
        self.overlays: dict[str, Image] = {}
        self.received = {'label_image': 0, 'points': 0}
        self.score: DriveScore | None = None
        self._numbers: dict[int, int] = {}  # frame number by stamp
        self._overlays: dict[int, dict[str, Image]] = {}
        self._dropped: dict[str, int] = {}  # by camera
        self._scoring = threading.Event()
        self._arrival = threading.Condition()
        for camera in CAMERAS:
            self._listen_to(camera)
        table = f'lseg/{CAMERAS[0]}/label_set'
        self.create_subscription(LabelSet, table, self._take_table, LATCHED)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)

    def wait_for_table(self) -> DriveScore:
        """Return the score, once the node has published the label set it needs."""
        if not self._scoring.wait(TABLE_TIMEOUT_S) or self.score is None:
            raise TimeoutError(f'the node lseg published no label set in {TABLE_TIMEOUT_S:.0f} s')
        return self.score

    def wait_for_quiet(self) -> None:
        """Return when no more results arrive."""
        with self._arrival:
            while self._arrival.wait(QUIET_S):
                pass

    def expect(self, number: int, stamp: Time) -> None:
        """Score results with this stamp against frame `number` of the drive."""
        self._numbers[stamp.nanoseconds] = number

    @property
    def dropped(self) -> int:
        """Number of images that the node dropped because newer ones had arrived."""
        return sum(self._dropped.values())

    def _listen_to(self, camera: str) -> None:
        for topic, kind, take in (
            ('label_image', Image, self._take_label_image),
            ('points', PointCloud2, self._take_points),
            ('overlay', Image, self._take_overlay),
        ):
            callback = self._taker(camera, take)
            self.create_subscription(kind, f'lseg/{camera}/{topic}', callback, RESULTS)

    def _taker(self, camera: str, take: Callable[[DriveScore, str, int, Any], None]) -> Callable[[Any], None]:
        """Return a callback that passes the messages of known frames to `take`."""

        def taken(message: Any) -> None:
            number = self._numbers.get(Time.from_msg(message.header.stamp).nanoseconds)
            if number is None or self.score is None:
                return
            take(self.score, camera, number, message)
            with self._arrival:
                self._arrival.notify_all()

        return taken

    def _take_table(self, message: LabelSet) -> None:
        self.score = DriveScore(message)
        self._scoring.set()

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for item in status.values:
                if item.key == 'images dropped':
                    self._dropped[status.name] = int(item.value)

    def _take_label_image(self, score: DriveScore, camera: str, number: int, message: Image) -> None:
        ids = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        score.add_label_image(camera, number, ids)
        self.received['label_image'] += 1

    def _take_points(self, score: DriveScore, camera: str, number: int, message: PointCloud2) -> None:
        points = np.frombuffer(message.data, dtype_from_fields(message.fields))
        score.add_points(camera, number, points.reshape(message.height, message.width))
        self.received['points'] += 1

    def _take_overlay(self, score: DriveScore, camera: str, number: int, message: Image) -> None:
        if number >= SHOWN_FRAME and not self.overlays:
            frame = self._overlays.setdefault(number, {})
            frame[camera] = message
            if len(frame) == len(CAMERAS):
                self.overlays = frame
