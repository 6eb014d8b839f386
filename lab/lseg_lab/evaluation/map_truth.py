# SPDX-License-Identifier: Apache-2.0
"""The true voxels of the recorded drive, and how far answers of a map are from what is there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth
from lseg_ros.core.cloud import PixelGrid, depth_in_metres, pixel_rays
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.asking import LEAST_VOXELS
from lseg_ros.mapping.observation import DepthLimits
from lseg_ros.mapping.regions import connected
from lseg_ros.mapping.voxel_index import cells_of, keys_of
from lseg_ros.media.sources import Recording, recorded_drive

# The labels of the map.
LABELS = (
    *('floor', 'wall', 'ceiling', 'door', 'window', 'curtain', 'sofa', 'chair', 'table', 'bed', 'cabinet'),
    *('picture', 'plant', 'lamp', 'rug'),
)
ASKED = 10  # of the classes with the largest things
# Classes of the flat that are parts of the building, rather than things in it.
BUILDING = frozenset({'floor', 'wall', 'ceiling', 'door', 'window', 'stairs', 'blinds', 'radiator', 'fireplace'})
# Words for what is not in the flat: those by which minimum_score is chosen (see `least_minimum`),
# and those that test the choice, which were fixed before any of them was scored.
ABSENT_CHOOSING = ('bathtub', 'piano', 'shower', 'stove', 'toilet')
ABSENT = ('dog', 'elevator', 'fire extinguisher', 'wheelchair', 'whiteboard')
MINIMUM_STEP = 0.05
NEAR_M = 0.5  # an answer whose centre is this near to that of a true thing is right
_STRIDE = 3  # of the pixels that make true voxels


@dataclass(frozen=True)
class TrueVoxels:
    """The true class of each voxel that the cameras have seen.

    `keys` are those of the voxels (see `keys_of`), ascending, and `classes` indices into `names`.
    """

    keys: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    voxel_size: float

    @property
    def cells(self) -> np.ndarray:
        """Return the voxels as integers [N, 3]."""
        return cells_of(self.keys)

    def classes_at(self, cells: np.ndarray) -> np.ndarray:
        """Return the class of each of these voxels [N, 3], and UNLABELLED where none was seen."""
        keys = keys_of(cells)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.classes[place], UNLABELLED)

    @cached_property
    def things(self) -> Mapping[str, list[np.ndarray]]:
        """The connected voxels, [N, 3], of each class that is no part of the building.

        The largest come first.
        """
        found = {}
        for number, name in enumerate(self.names):
            cells = cells_of(self.keys[self.classes == number])
            groups = [cells[group] for group in connected(cells) if len(group) >= LEAST_VOXELS]
            if groups and name not in BUILDING:
                found[name] = groups
        return found

    def largest(self, count: int) -> tuple[str, ...]:
        """Return the names of the classes with the largest things."""
        return tuple(sorted(self.things, key=lambda name: -len(self.things[name][0])))[:count]

    def distance(self, name: str, centre: np.ndarray) -> float | None:
        """Return the metres from a place to the centre of the nearest thing of a class.

        Return None if there is no such thing.
        """
        boxes = [(cells.min(0) + cells.max(0) + 1) / 2 * self.voxel_size for cells in self.things.get(name, ())]
        return min((float(np.linalg.norm(centre - box)) for box in boxes), default=None)


@dataclass(frozen=True)
class ScoredAnswer:
    """The best answer to a prompt: its score, and its distance from the nearest true thing.

    `score` is None if nothing was found, and `distance`, in metres, if there is no such thing.
    """

    prompt: str
    score: float | None
    distance: float | None

    def row(self) -> str:
        """Return it as a row of a table."""
        if self.score is None:
            return f'{self.prompt:<18}{"-":>6}   not found'
        away = 'not there' if self.distance is None else f'{self.distance:.2f} m'
        return f'{self.prompt:<18}{self.score:>6.2f}   {away}'


def true_voxels(voxel_size: float, limits: DepthLimits) -> TrueVoxels:
    """Return the true voxels of the recorded drive: the class of most of the pixels in each."""
    keys, classes = zip(*(_of_camera(camera, voxel_size, limits) for camera in CAMERAS))
    unique, voxel_of = np.unique(np.concatenate(keys), return_inverse=True)
    counts = np.zeros((len(unique), 256), np.int32)
    np.add.at(counts, (voxel_of, np.concatenate(classes)), 1)
    return TrueVoxels(unique, counts.argmax(1), DriveTruth().classes, voxel_size)


def _of_camera(camera: str, voxel_size: float, limits: DepthLimits) -> tuple[np.ndarray, np.ndarray]:
    """Return the key of the voxel, and the class, of many pixels of a camera."""
    truth, recording = DriveTruth(camera), Recording(recorded_drive() / camera)
    size = recording.camera.height, recording.camera.width
    grid = PixelGrid.between(size, size, _STRIDE)
    rays = pixel_rays(grid, np.reshape(recording.camera.matrix, (3, 3)), np.zeros(0))
    keys, classes = [], []
    for number, shot in enumerate(recording):
        assert shot.depth_mm is not None  # a recording always has it
        depth = depth_in_metres(grid.sample(shot.depth_mm))
        near = (depth >= limits.least) & (depth <= limits.most)  # false for NaN
        points = np.stack([*rays, np.ones_like(depth)], axis=2)[near] * depth[near][:, None]
        pose = truth.poses[number]
        keys.append(keys_of(np.floor((points @ pose[:3, :3].T + pose[:3, 3]) / voxel_size)))
        classes.append(grid.sample(truth.mask(number))[near])
    return np.concatenate(keys), np.concatenate(classes)


def summary(answers: Iterable[ScoredAnswer], absent: Sequence[str] = ABSENT) -> str:
    """Return how many answers are right, and how many absent words were found, as one line."""
    rows = [*answers]
    there = [row for row in rows if row.prompt not in absent]
    right = [row for row in there if row.distance is not None and row.distance <= NEAR_M]
    found = [row for row in rows if row.prompt in absent and row.score is not None]
    return (
        f'{len(right)} of {len(there)} answers within {NEAR_M:g} m of a true one; '
        f'{len(found)} of {len(rows) - len(there)} absent words found'
    )


def least_minimum(greatest: Sequence[float]) -> float:
    """Return the least multiple of MINIMUM_STEP at which at most one absent word is found.

    `greatest` has the greatest minimum score at which each of the words is found.
    """
    *_, second, _ = sorted(greatest)
    return MINIMUM_STEP * (math.floor(second / MINIMUM_STEP + 1e-9) + 1)


def score_changes(whole: Sequence[ScoredAnswer], others: Sequence[ScoredAnswer]) -> str:
    """Return how much the scores of answers differ from those of the same prompts, as one line."""
    pairs = [(each.score, other.score) for each, other in zip(whole, others, strict=True)]
    changes = [abs(score - other) for score, other in pairs if score is not None and other is not None]
    lost, fresh = (sum(pair[side] is None and pair[1 - side] is not None for pair in pairs) for side in (1, 0))
    mean = sum(changes) / max(1, len(changes))
    most = max(changes, default=0.0)
    return f'scores differ by {mean:.3f} on average, {most:.3f} at most; {lost} lost, {fresh} more found'
