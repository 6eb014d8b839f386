# SPDX-License-Identifier: Apache-2.0
"""Reads video files and webcams, and writes videos, with OpenCV."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from lseg_ros.whole_files import whole_file, write_error

_DEFAULT_RATE = 25.0

# Silences FFmpeg (-8 is its "quiet"): the exceptions below report what is wrong with a file.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')


class Video:
    """A video file, or a webcam by its number; iterable over frames, uint8 RGB [H, W, 3].

    Each iteration starts from the beginning.
    """

    def __init__(self, source: str | Path | int) -> None:
        """Open the source; raise OSError if OpenCV cannot."""
        self._source = source if isinstance(source, int) else str(source)
        capture = self._open()
        self._rate = capture.get(cv2.CAP_PROP_FPS)
        self._frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()

    @property
    def rate(self) -> float:
        """Frames per second; 25 if the file does not say."""
        return self._rate if self._rate > 0 else _DEFAULT_RATE

    @property
    def frame_count(self) -> int | None:
        """The number of frames according to the file; None if it does not say."""
        return self._frames if self._frames > 0 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        capture = self._open()
        try:
            while (grabbed := capture.read())[0]:
                yield cv2.cvtColor(grabbed[1], cv2.COLOR_BGR2RGB)
        finally:
            capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            kind = 'webcam' if isinstance(self._source, int) else 'video'
            raise OSError(f'cannot open the {kind} {self._source}')
        return capture


class VideoWriter:
    """Writes uint8 RGB frames [H, W, 3] of one size to an MPEG-4 file (mp4v), whole or not at all.

    The codec needs even sizes, so the last column or row of odd sizes is cut off.
    """

    def __init__(self, path: str | Path, rate: float) -> None:
        """Set the path and the frames per second; the first frame creates the file."""
        self._path = Path(path)
        self._rate = rate
        self._part = self._path
        self._writer: cv2.VideoWriter | None = None
        self._stack = ExitStack()

    def write(self, frame: np.ndarray) -> None:
        """Append a frame; raise OSError if the file cannot be created."""
        if self._writer is None:
            height, width = frame.shape[:2]
            with ExitStack() as stack:
                self._part = stack.enter_context(whole_file(self._path, '.mp4'))
                code = cv2.VideoWriter.fourcc(*'mp4v')
                writer = cv2.VideoWriter(str(self._part), code, self._rate, (width, height))
                if not writer.isOpened():
                    raise write_error(self._part, 'OpenCV cannot open it')
                self._writer, self._stack = writer, stack.pop_all()
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file; raise OSError if the disk is full."""
        with self._stack:
            if self._writer is not None:
                self._writer.release()
                if not _is_whole(self._part):  # OpenCV does not report a full disk
                    raise write_error(self._part, 'it ends early')

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_whole(path: Path) -> bool:
    """Return whether an MPEG-4 file consists of whole boxes, the table of its frames the last."""
    size, end, kind = path.stat().st_size, 0, b''
    with path.open('rb') as file:
        while end < size:
            file.seek(end)
            length, kind, long_length = struct.unpack('>I4sQ', file.read(16).ljust(16, b'\0'))
            end += max(long_length if length == 1 else length, 8)
    return end == size and kind == b'moov'
