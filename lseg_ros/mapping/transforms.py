# SPDX-License-Identifier: Apache-2.0
"""The transforms of a recording, looked up by time as in tf2."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

_LONGEST_GAP_NS = 10 * 10**9  # between transforms; tf2, too, forgets after ten seconds


class TransformMessage(Protocol):
    """The fields of geometry_msgs/Transform."""

    translation: Any
    rotation: Any


@dataclass(frozen=True, eq=False)
class StampedTransform:
    """A transform from frame `child` to frame `parent` at a time; always, if that is None.

    `place` is x, y, z in metres, and `turn` the quaternion x, y, z, w.
    """

    child: str
    parent: str
    stamp_ns: int | None
    place: np.ndarray
    turn: np.ndarray

    @classmethod
    def of(cls, child: str, parent: str, stamp_ns: int | None, transform: TransformMessage) -> StampedTransform:
        """Return the content of a message; raise ValueError unless it is finite and has a turn."""
        place, turn = _parts(transform)
        return cls(child, parent, stamp_ns, place, turn)


class TransformTree:
    """Transforms between frames; immutable.

    Between two stamps, places move along a line and turns along the shortest arc.
    """

    def __init__(self, transforms: Iterable[StampedTransform]) -> None:
        """Take transforms in any order."""
        self._always: dict[str, StampedTransform] = {}
        self._series: dict[str, list[StampedTransform]] = {}
        for each in transforms:
            if each.stamp_ns is None:
                self._always[each.child] = each
            else:
                self._series.setdefault(each.child, []).append(each)
        for series in self._series.values():
            series.sort(key=attrgetter('stamp_ns'))

    @property
    def frames(self) -> tuple[str, ...]:
        """The names of all frames, sorted."""
        every = [*self._always.values(), *(each for series in self._series.values() for each in series)]
        return tuple(sorted({name for each in every for name in (each.child, each.parent)}))

    def at(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """Return the transform [4, 4] from frame `source` to frame `target` at a time.

        Raise ValueError, with the reason, if there is none.
        """
        from_target, from_source = self._path_up(target, stamp_ns), self._path_up(source, stamp_ns)
        shared = next((name for name in from_source if name in from_target), None)
        if shared is None:
            raise ValueError(f'no transform leads from frame {source} to {target}')
        up = self._to(shared, from_source, stamp_ns)
        down = self._to(shared, from_target, stamp_ns)
        matrix: np.ndarray = np.linalg.solve(down, up)
        return matrix

    def _path_up(self, frame: str, stamp_ns: int) -> list[str]:
        """Return a frame, its parent at about that time, and so on."""
        path: list[str] = []
        while frame not in path:
            path.append(frame)
            if frame in self._always:
                frame = self._always[frame].parent
            elif frame in self._series:
                series = self._series[frame]
                place = bisect_left(series, stamp_ns, key=attrgetter('stamp_ns'))
                frame = series[max(place - 1, 0)].parent
        return path

    def _to(self, ancestor: str, path: list[str], stamp_ns: int) -> np.ndarray:
        matrix = np.eye(4)
        for frame in path[: path.index(ancestor)]:
            always = self._always.get(frame)
            step = _matrix(always.place, always.turn) if always else _between(self._series[frame], stamp_ns)
            matrix = step @ matrix
        return matrix


def pose_matrix(transform: TransformMessage) -> np.ndarray:
    """Return a transform as a matrix [4, 4]; raise ValueError unless it is finite."""
    return _matrix(*_parts(transform))


def _parts(transform: TransformMessage) -> tuple[np.ndarray, np.ndarray]:
    """Return place and turn, a unit quaternion; raise ValueError unless they are finite."""
    place, turn = transform.translation, transform.rotation
    where, quaternion = np.array([place.x, place.y, place.z]), np.array([turn.x, turn.y, turn.z, turn.w])
    length = math.hypot(*quaternion)  # does not overflow
    if not (np.isfinite(where).all() and 1e-12 < length < math.inf):
        raise ValueError('a transform is not finite, or its quaternion is zero')
    return where, quaternion / length


def _between(series: list[StampedTransform], stamp_ns: int) -> np.ndarray:
    """Return the transform [4, 4] of a frame to its parent; raise ValueError if it is not known."""
    after = bisect_left(series, stamp_ns, key=attrgetter('stamp_ns'))
    if after < len(series) and series[after].stamp_ns == stamp_ns:
        return _matrix(series[after].place, series[after].turn)
    pair = series[after - 1 : after + 1] if after else []
    if len(pair) < 2 or pair[1].stamp_ns - pair[0].stamp_ns > _LONGEST_GAP_NS:  # type: ignore[operator]
        raise ValueError(f'no transform of frame {series[0].child} around the time of the image')
    first, second = pair
    if first.parent != second.parent:
        return _matrix(first.place, first.turn)
    share = (stamp_ns - first.stamp_ns) / (second.stamp_ns - first.stamp_ns)  # type: ignore[operator]
    return _matrix(first.place + share * (second.place - first.place), _slerp(first.turn, second.turn, share))


def _slerp(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return the unit quaternion at a share of the way between two (Shoemake, 1985)."""
    cosine = float(first @ second)
    second, cosine = (-second, -cosine) if cosine < 0 else (second, cosine)
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        return first
    turn: np.ndarray = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
    return turn


def _matrix(place: np.ndarray, turn: np.ndarray) -> np.ndarray:
    x, y, z, w = turn
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), place[0]],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), place[1]],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), place[2]],
            [0, 0, 0, 1],
        ]
    )
