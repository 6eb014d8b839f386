# SPDX-License-Identifier: Apache-2.0
"""The transforms of the last seconds, looked up as in tf2."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from pytransform3d.transform_manager import NumpyTimeseriesTransform, StaticTransform, TemporalTransformManager
from pytransform3d.transformations import pq_from_transform, transform_from_pq
from rclpy.duration import Duration
from rclpy.time import Time


class TransformException(Exception):
    """A transform cannot be looked up."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """The frames are not in one tree."""


class ExtrapolationException(TransformException):
    """The time lies outside of what is known."""


class Buffer:
    """Keeps transforms and interpolates between them; any thread may use it."""

    def __init__(self, cache_time: Duration | None = None, node: Any = None) -> None:
        """Keep the transforms of the last `cache_time`, by default ten seconds."""
        self._cache_s = (cache_time or Duration(seconds=10)).nanoseconds / 1e9
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], dict[float, np.ndarray]] = {}
        self._static: dict[tuple[str, str], np.ndarray] = {}

    def clear(self) -> None:
        """Forget all transforms but static ones."""
        with self._lock:
            self._series = {}

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Keep a transform from its child frame to the frame of its header."""
        self._set(transform, is_static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Keep a transform that holds at all times."""
        self._set(transform, is_static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """Return the transform from one frame to another at a time; raise TransformException."""
        with self._lock:
            matrix = self._look_up(target_frame, source_frame, time.nanoseconds / 1e9)
        x, y, z, qw, qx, qy, qz = map(float, pq_from_transform(matrix))
        result = TransformStamped(child_frame_id=source_frame)
        result.header.frame_id = target_frame
        result.header.stamp = time.to_msg()
        place, turn = result.transform.translation, result.transform.rotation
        place.x, place.y, place.z = x, y, z
        turn.w, turn.x, turn.y, turn.z = qw, qx, qy, qz
        return result

    def _set(self, transform: TransformStamped, is_static: bool) -> None:
        place, turn = transform.transform.translation, transform.transform.rotation
        pq = np.array([place.x, place.y, place.z, turn.w, turn.x, turn.y, turn.z])
        if not (np.isfinite(pq).all() and abs(math.hypot(*pq[3:]) - 1) < 1e-2):
            return  # tf2 ignores these, too
        key = transform.child_frame_id, transform.header.frame_id
        with self._lock:
            if is_static:
                self._static[key] = pq
                return
            series = self._series.setdefault(key, {})
            stamp = Time.from_msg(transform.header.stamp).nanoseconds / 1e9
            if series and pq[3:] @ next(reversed(series.values()))[3:] < 0:
                pq[3:] *= -1  # the same turn, without a detour on the way to it
            series[stamp] = pq
            newest = max(series)
            self._series[key] = {when: each for when, each in series.items() if when >= newest - self._cache_s}

    def _look_up(self, target: str, source: str, stamp: float) -> np.ndarray:
        manager = TemporalTransformManager(check=True)
        for (child, parent), pq in self._static.items():
            manager.add_transform(child, parent, StaticTransform(transform_from_pq(pq)))
        for (child, parent), series in self._series.items():
            times = np.array(sorted(series))
            poses = np.array([series[when] for when in times])
            manager.add_transform(child, parent, NumpyTimeseriesTransform(times, poses))
        for frame in (target, source):
            if frame not in manager.nodes:
                raise LookupException(f'"{frame}" does not exist')
        try:
            matrix: np.ndarray = manager.get_transform_at_time(source, target, stamp)
        except KeyError as error:
            raise ConnectivityException(f'"{target}" and "{source}" are not in one tree') from error
        except ValueError as error:
            raise ExtrapolationException(f'no transform from "{source}" to "{target}" at {stamp:.3f} s') from error
        return matrix
