# SPDX-License-Identifier: Apache-2.0
"""Writes images, class ids and points to a file for the Rerun viewer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lseg_ros.labels import LabelSet
from lseg_ros.labels.colors import class_color
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.whole_files import whole_file, write_error

INSTALL = 'pip install rerun-sdk==0.41.0 (Python 3.11 or newer and NumPy 2)'
_JPEG_QUALITY = 90


class RerunRecording:
    """An open recording: a camera's images with their ids, and points in its optical frame."""

    def __init__(self, stream: Any, labels: LabelSet) -> None:
        """Write to `stream`, a RecordingStream, the names and colours of `labels`."""
        import rerun as rr

        self._rr = rr
        self._stream = stream
        names = [(label.id, label.name, label.color) for label in labels.classes]
        unlabelled = (UNLABELLED, 'unlabelled', class_color(UNLABELLED))
        stream.log('/', rr.AnnotationContext([*names, unlabelled]), static=True)
        stream.log('/', rr.ViewCoordinates.RDF, static=True)  # x right, y down, z forward

    def at_stamp(self, stamp_ns: int) -> None:
        """Let what follows belong to a time since 1970, in nanoseconds."""
        self._stream.set_time('stamp', timestamp=np.datetime64(stamp_ns, 'ns'))

    def at_second(self, second: float) -> None:
        """Let what follows belong to a time since the start of a video, in seconds."""
        self._stream.set_time('time', duration=second)

    def at_number(self, number: int) -> None:
        """Let what follows belong to the image of this number."""
        self._stream.set_time('image', sequence=number)

    def write_image(self, image: np.ndarray, ids: np.ndarray) -> None:
        """Write an image, uint8 RGB [H, W, 3], and its class ids, uint8 [H, W]."""
        self._stream.log('camera/image', self._rr.Image(image).compress(jpeg_quality=_JPEG_QUALITY))
        self._stream.log('camera/ids', self._rr.SegmentationImage(ids, opacity=0.5))

    def write_camera(self, matrix: np.ndarray, size: tuple[int, int]) -> None:
        """Write the projection K, [3, 3], of images of `size` (height, width)."""
        height, width = size
        camera = self._rr.Pinhole(image_from_camera=matrix, width=width, height=height)
        self._stream.log('camera', camera)

    def write_points(self, points: np.ndarray, ids: np.ndarray) -> None:
        """Write points, float32 [n, 3] in metres in the optical frame, and their class ids [n]."""
        self._stream.log('points', self._rr.Points3D(points, class_ids=ids, radii=self._rr.Radius.ui_points(2.0)))


@contextmanager
def rerun_recording(path: Path, labels: LabelSet, has_points: bool) -> Iterator[RerunRecording]:
    """Yield a recording, which becomes the file `path` unless the body raises.

    The viewer opens with the points beside the image if it `has_points`. Raise ValueError if
    rerun-sdk is not installed, OSError if the file cannot be written.
    """
    rr, blueprint = _modules()
    views = [blueprint.Spatial2DView(origin='camera', name='Image and classes')]
    if has_points:
        views.append(blueprint.Spatial3DView(origin='/', name='Points'))
    layout = blueprint.Blueprint(blueprint.Horizontal(*views), collapse_panels=True)
    with whole_file(path) as part:
        stream = rr.RecordingStream('lseg_ros')
        try:
            stream.save(part, default_blueprint=layout)
            yield RerunRecording(stream, labels)
            stream.disconnect()
            rr.chunk.RrdReader(part).store()  # reads the table that Rerun writes at the very end
        except RuntimeError as error:
            raise write_error(path, error) from error


def check_installed() -> None:
    """Raise ValueError, saying what to install, if rerun-sdk is missing."""
    _modules()


def _modules() -> tuple[Any, Any]:
    try:
        import rerun
        import rerun.blueprint
        import rerun.chunk
    except ImportError as error:
        raise ValueError(f'lseg view needs rerun-sdk ({error}): {INSTALL}') from error
    return rerun, rerun.blueprint
