# SPDX-License-Identifier: Apache-2.0
"""Score the recorded drive against its ground truth: mIoU of each camera, and the map."""

from __future__ import annotations

import numpy as np

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth, ids_by_class
from lseg_lab.evaluation.metrics import ConfusionMatrix
from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from traversability import TraversabilityMap, floor_recall, obstacle_misses

TRAVERSABLE = 'traversable'
_TRULY_TRAVERSABLE = ('floor', 'rug')
_GAP = 16  # pixels between the two maps


class DriveScore:
    """Accumulates the results of frames, in any order, and scores all of them so far."""

    def __init__(self, labels: LabelSet) -> None:
        """Score results under `labels`, whose group `traversable` may be driven on.

        Only id, prompts and groups of the classes are read, so a LabelSet message works too.
        """
        self._truth = {camera: DriveTruth(camera) for camera in CAMERAS}
        self._ids_by_class = ids_by_class(labels, self._truth[CAMERAS[0]].classes)
        self._traversable = [label.id for label in labels.classes if TRAVERSABLE in label.groups]
        self._confusion = {camera: ConfusionMatrix(UNLABELLED) for camera in CAMERAS}
        poses = np.concatenate([truth.poses for truth in self._truth.values()])
        self._map, self._true_map = TraversabilityMap(poses), TraversabilityMap(poses)

    def __len__(self) -> int:
        """Return the number of frames of the drive."""
        return len(self._truth[CAMERAS[0]])

    @property
    def floor_recall(self) -> float:
        """Fraction of truly free cells that the map marks free."""
        return floor_recall(self._map.ground(), self._true_map.ground())

    @property
    def obstacle_misses(self) -> float:
        """Fraction of truly blocked cells that the map marks free."""
        return obstacle_misses(self._map.ground(), self._true_map.ground())

    def mean_iou(self, camera: str) -> float:
        """Return the mIoU of a camera over the labelled classes in view; NaN without frames."""
        return self._confusion[camera].mean_iou

    def add_label_image(self, camera: str, number: int, ids: np.ndarray) -> None:
        """Add the class ids, uint8 [H, W], of frame `number` of a camera."""
        truth = self._ids_by_class[self._truth[camera].mask(number)]
        self._confusion[camera].update(truth, ids)

    def add_points(self, camera: str, number: int, points: np.ndarray) -> None:
        """Add the point cloud of frame `number` of a camera to both maps.

        `points` is [h, w] of `lseg_ros.core.cloud.POINT`, one for every `points_stride`-th pixel.
        """
        truth = self._truth[camera]
        mask = truth.mask(number)
        stride = -(-mask.shape[0] // points.shape[0])
        mask = mask[::stride, ::stride]
        truly_free = np.isin(mask, [truth.classes.index(name) for name in _TRULY_TRAVERSABLE])
        places = np.stack([points[axis].ravel() for axis in 'xyz'], axis=1)
        pose = truth.poses[number]
        # Unlabelled points do not vote.
        confidence = np.where(points['label'] == UNLABELLED, 0.0, points['confidence'])
        is_free = np.isin(points['label'], self._traversable)
        self._map.add(places, is_free.ravel(), confidence.ravel(), pose)
        self._true_map.add(places, truly_free.ravel(), np.ones(truly_free.size), pose)

    def picture(self) -> np.ndarray:
        """Return the map with the true map to its right, uint8 [h, w, 3] RGB."""
        way = self._truth[CAMERAS[0]].poses[:, :2, 3]
        picture, truth = self._map.picture(way), self._true_map.picture(way)
        rows, columns = np.nonzero((truth != truth[0, 0]).any(2))  # the corner is always unseen
        seen = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        gap = np.full((np.ptp(rows) + 1, _GAP, 3), 255, np.uint8)
        return np.hstack([picture[seen], gap, truth[seen]])
