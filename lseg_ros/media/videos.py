# SPDX-License-Identifier: Apache-2.0
"""Reads video files and webcams, and writes videos, with OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from lseg_ros.media.containers import is_cut, is_finished_mp4
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
        self._read = 0
        self._first = self._last = 0.0
        capture.release()

    @property
    def rate(self) -> float:
        """Frames per second; 25 if the file does not say."""
        return self._rate if self._rate > 0 else _DEFAULT_RATE

    @property
    def frame_count(self) -> int | None:
        """The number of frames according to the file; None if it does not say.

        In some formats it is the duration times the rate, which is an upper bound.
        """
        return self._frames if self._frames > 0 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        capture = self._open()
        self._read = 0
        try:
            while (grabbed := capture.read())[0]:
                self._last = self._position(capture)
                self._first = self._first if self._read else self._last
                self._read += 1
                yield cv2.cvtColor(grabbed[1], cv2.COLOR_BGR2RGB)
        finally:
            capture.release()

    def check_whole(self) -> None:
        """Raise OSError if the last iteration found fewer frames than the file should have.

        If the structure of the file does not tell, either enough frames or time stamps that reach
        the duration will do.
        """
        cut = is_cut(Path(str(self._source)))
        whole = self._reached_the_end() if cut is None else not cut
        if not whole or not self._read:
            announced = self.frame_count or 0
            frames = announced if announced > self._read else 'its'
            raise OSError(f'the video ends early: {self._read} of {frames} frames could be read')

    def _reached_the_end(self) -> bool:
        announced = self.frame_count or 0
        tolerance = 2 + 0.02 * self._read  # files often announce a frame or two too many
        frames = max(self._read, self._last - self._first + 1)
        return announced - frames <= tolerance or abs(announced - self._last - 1) <= tolerance

    def _position(self, capture: cv2.VideoCapture) -> float:
        """Return the last frame's time stamp, in frames; older OpenCV counts from the first one."""
        if hasattr(cv2, 'CAP_PROP_PTS'):
            return capture.get(cv2.CAP_PROP_PTS)
        return capture.get(cv2.CAP_PROP_POS_MSEC) * self.rate / 1000

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
                if not is_finished_mp4(self._part):  # OpenCV does not report a full disk
                    raise write_error(self._part, 'it ends early')

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
