# SPDX-License-Identifier: Apache-2.0
"""Choose where cameras stand and which of their pictures to keep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.building import Building, Spot
from lseg_lab.rooms.meshes import triple
from lseg_lab.rooms.model_labels import CLASS_INDEX, CLASSES
from lseg_lab.rooms.renderer import View
from lseg_lab.rooms.scene import Camera
from lseg_ros.labels.ids import UNLABELLED

_CLEARANCE = 0.12  # metres between camera and furniture
_LARGEST_SHARE = {'wall': 0.62, 'floor': 0.6, 'ceiling': 0.4, 'door': 0.5, 'window': 0.5}
_LARGEST_OTHER = 0.72
_LARGEST_SUBJECT = 0.96  # of a picture taken at a spot
_LEAST_FURNITURE = 0.12  # of a picture: everything but floor, wall and ceiling


@dataclass(frozen=True)
class _Manner:
    """One way to take pictures; ranges in metres and radians."""

    share: float
    border: float  # probability of standing at the room's border
    height: tuple[float, float]
    distance: tuple[float, float]  # to the target
    pitch: tuple[float, float]


_MANNERS = (
    _Manner(0.48, 0.75, (1.0, 1.7), (1.3, 9.0), (-0.5, 0.15)),  # a person photographs the room
    _Manner(0.12, 0.4, (1.1, 1.65), (0.4, 1.2), (-0.55, -0.1)),  # at a table or worktop
    _Manner(0.15, 0.2, (0.5, 1.6), (0.7, 2.0), (-0.7, 0.15)),  # close to one piece
    _Manner(0.25, 0.4, (0.2, 0.7), (0.9, 8.0), (-0.25, 0.2)),  # a robot on its way
)


def random_camera(rng: np.random.Generator, building: Building, aspect: float) -> tuple[Camera, Spot | None]:
    """Draw a camera such as a person holds or a robot carries, at one of the spots if any."""
    if building.spots:
        spot = building.spots[rng.integers(len(building.spots))]
        position = rng.uniform(*spot.eye)
        yaw, pitch = _direction(rng.uniform(*spot.target) - position)
        return _camera(rng, position, yaw, pitch, aspect), spot
    manner = _MANNERS[rng.choice(len(_MANNERS), p=[manner.share for manner in _MANNERS])]
    position = _standing_place(rng, building, manner)
    yaw, pitch = _gaze(rng, building, position, manner)
    return _camera(rng, position, yaw, pitch, aspect), None


def _camera(rng: np.random.Generator, position: np.ndarray, yaw: float, pitch: float, aspect: float) -> Camera:
    horizontal = math.radians(rng.uniform(45, 78))
    vertical = 2 * math.atan(math.tan(horizontal / 2) / aspect)
    roll = rng.normal(0, 0.025) if rng.random() < 0.93 else rng.normal(0, 0.25)
    return Camera(triple(position), yaw, pitch, float(roll), vertical)


def _standing_place(rng: np.random.Generator, building: Building, manner: _Manner) -> np.ndarray:
    low, high = building.room.low, building.room.high
    for _ in range(40):
        place = rng.uniform(low, high)
        if rng.random() < manner.border:
            axis = rng.integers(2)
            place[axis] = (low + 0.2, high - 0.2)[rng.integers(2)][axis]
        height = rng.uniform(*manner.height)
        if _is_clear(building, place[0], place[1], height):
            break
    return np.array([place[0], height, place[1]])


def _is_clear(building: Building, x: float, z: float, height: float) -> bool:
    around = np.array([(x + dx, z + dz) for dx in (-0.12, 0.12) for dz in (-0.12, 0.12)])
    if not building.room.contains(around).all():
        return False
    return height > 1.35 or not any(
        x0 - _CLEARANCE < x < x1 + _CLEARANCE and z0 - _CLEARANCE < z < z1 + _CLEARANCE
        for x0, z0, x1, z1 in building.footprints
    )


def _gaze(rng: np.random.Generator, building: Building, position: np.ndarray, manner: _Manner) -> tuple[float, float]:
    """Return yaw and pitch towards a piece at the manner's distance, or else into the room."""
    target = _focus(rng, building, position, manner.distance)
    if target is None:
        middle = (building.room.low + building.room.high) / 2
        x, z = middle + rng.normal(0, 0.8, 2)
        target = np.array([x, position[1] + rng.normal(-0.15, 0.3), z])
    yaw, pitch = _direction(target - position)
    return yaw, float(np.clip(pitch + rng.normal(0.06, 0.1), *manner.pitch))


def _direction(ahead: np.ndarray) -> tuple[float, float]:
    """Return the yaw and pitch of a vector, in radians."""
    pitch = math.atan2(ahead[1], math.hypot(ahead[0], ahead[2]) + 1e-6)
    return math.atan2(ahead[0], ahead[2]), pitch


def _focus(
    rng: np.random.Generator, building: Building, position: np.ndarray, distance: tuple[float, float]
) -> np.ndarray | None:
    """Return a point near a piece at the wanted distance; prefer large pieces."""
    if not building.focuses or rng.random() < 0.2:
        return None
    focuses = np.array(building.focuses)
    away = np.hypot(*(focuses[:, :3] - position)[:, [0, 2]].T)
    near_enough = (away > distance[0]) & (away < distance[1])
    if not near_enough.any():
        return None
    weights = np.where(near_enough, 0.1 + np.minimum(focuses[:, 3], 2.0), 0.0)
    chosen = focuses[rng.choice(len(focuses), p=weights / weights.sum()), :3]
    return chosen + rng.normal(0, [0.35, 0.15, 0.35])


def is_worth_keeping(view: View, spot: Spot | None) -> bool:
    """Return whether a picture is bright enough and shows the spot's subject, or several things."""
    counts = np.bincount(view.mask.ravel(), minlength=256)
    if counts[UNLABELLED] > 0.02 * view.mask.size or not 25 < view.image.mean() < 235:
        return False
    if spot is None:
        return _shows_several_things(counts) and bool(np.quantile(view.depth, 0.25) > 0.35)
    subject = counts[[CLASS_INDEX[name] for name in spot.subject]].sum() / view.mask.size
    return bool(spot.least < subject < _LARGEST_SUBJECT and np.quantile(view.depth, 0.1) > 0.2)


def _shows_several_things(counts: np.ndarray) -> bool:
    """Return whether no class fills the picture; `counts` are the pixels of each class."""
    total = counts.sum()
    for index, name in enumerate(CLASSES):
        if counts[index] > _LARGEST_SHARE.get(name, _LARGEST_OTHER) * total:
            return False
    furniture = counts[CLASS_INDEX['ceiling'] + 1 : UNLABELLED]
    return bool((furniture > 0.004 * total).sum() >= 2 and furniture.sum() >= _LEAST_FURNITURE * total)
