# SPDX-License-Identifier: Apache-2.0
"""What geometry alone says of answers: the ground is floor, and a place looks alike twice."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from lseg_lab.adaptation.camera import Camera
from lseg_lab.adaptation.frame_store import Frame
from lseg_lab.adaptation.scene_view import SceneView
from lseg_lab.evaluation.metrics import ConfusionMatrix
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.ground_grid import TRAVERSABLE, traversable_ids

MOST_DEPTH = 4.0  # metres; beyond, depth is too coarse to tell the ground
# Metres above or below the floor: up to the first, a point is ground; beyond the second, it is not.
GROUND_HEIGHTS = (0.04, 0.1)
EARLIER_FRAMES = 5  # of the same camera, with which a frame is compared
# Two frames overlap if the second shows at least this share of what the first does.
LEAST_OVERLAP = 0.3


@dataclass
class NetworkChecks:
    """What geometry says of one network.

    In `ground`, class 1 is the ground, which is true where depth and pose say so. Of `seen` pixels
    that show what an earlier frame showed, `same` have the same answer.
    """

    ground: ConfusionMatrix = field(default_factory=lambda: ConfusionMatrix(2))
    same: int = 0
    seen: int = 0

    def as_json(self) -> Mapping[str, float | None]:
        """Return plain numbers for JSON; None where there is nothing to count."""
        ground = self.ground
        shares = {
            'ground_found': float(ground.recall[1]),
            'called_ground_is': float(ground.precision[1]),
            'ground_iou': float(ground.iou[1]),
            'same_in_overlap': self.same / self.seen if self.seen else np.nan,
        }
        return {name: None if np.isnan(share) else share for name, share in shares.items()}


@dataclass(frozen=True, eq=False)
class _Earlier:
    camera: int
    points: np.ndarray  # [N, 3]
    ids: tuple[np.ndarray, ...]  # of teacher and student, uint8 [N]


class SceneChecks:
    """Checks the answers of teacher and student on the frames of some cameras, in their order."""

    def __init__(self, labels: LabelSet, views: Mapping[Frame, SceneView], floor_height: float) -> None:
        """`floor_height` is in metres, in the frame that the poses of `views` lead to."""
        self._ground = traversable_ids(labels, TRAVERSABLE)
        self._views, self._floor_height = views, floor_height
        self._earlier: deque[_Earlier] = deque(maxlen=EARLIER_FRAMES)
        self.teacher, self.student = NetworkChecks(), NetworkChecks()
        self.frames = 0
        self.pairs = 0

    def add(self, frame: Frame, theirs: np.ndarray, ours: np.ndarray) -> None:
        """Check the ids of teacher and student, uint8 [H, W], on a frame, if it has a view."""
        view, answers = self._views.get(frame), (theirs, ours)
        if view is None:
            return
        points = view.points()
        self.frames += 1
        if self._ground:
            self._check_ground(view, points[..., 2] - self._floor_height, answers)
        self._check_overlap(frame.camera, view, answers)
        known = np.isfinite(points).all(-1)
        ids = tuple(view.sample(each)[known] for each in answers)
        self._earlier.append(_Earlier(frame.camera, points[known], ids))

    def as_json(self) -> Mapping[str, object]:
        """Return plain numbers for JSON."""
        return {
            'frames': self.frames,
            'overlapping_pairs': self.pairs,
            'teacher': self.teacher.as_json(),
            'student': self.student.as_json(),
        }

    def _check_ground(self, view: SceneView, height: np.ndarray, answers: tuple[np.ndarray, ...]) -> None:
        away, (low, high) = np.abs(height), GROUND_HEIGHTS
        truth = np.full(height.shape, UNLABELLED, np.uint8)
        near = view.depth <= MOST_DEPTH
        truth[near & (away > high)] = 0
        truth[near & (away <= low)] = 1
        for network, ids in zip((self.teacher, self.student), answers):
            network.ground.update(truth, np.isin(view.sample(ids), self._ground).astype(np.uint8))

    def _check_overlap(self, camera: int, view: SceneView, answers: tuple[np.ndarray, ...]) -> None:
        """Compare with the earliest kept frame that overlaps."""
        for earlier in self._earlier:
            if earlier.camera != camera:
                continue
            index, places = view.find(earlier.points)
            if len(index) < LEAST_OVERLAP * len(earlier.points) or not len(index):
                continue
            self.pairs += 1
            for network, ids, before in zip((self.teacher, self.student), answers, earlier.ids):
                rows, columns = (places * ids.shape).astype(np.intp).T
                network.seen += len(index)
                network.same += int((ids[rows, columns] == before[index]).sum())
            return


def read_views(cameras: Sequence[Camera], frames: Sequence[Frame]) -> dict[Frame, SceneView]:
    """Read the views of those of the frames that have depth and a pose; report why others fail."""
    views: dict[Frame, SceneView] = {}
    for index, camera in enumerate(cameras):
        numbers = [frame.number for frame in frames if frame.camera == index]
        if not camera.views or not numbers:
            continue
        try:
            for number, view in camera.views(numbers):
                views[Frame(index, number)] = view
        except (OSError, ValueError) as error:
            tqdm.write(f'lseg: {camera.name}: depth and poses cannot be used: {one_line(error)}', file=sys.stderr)
    return views
