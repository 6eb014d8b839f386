# SPDX-License-Identifier: Apache-2.0
"""Measure the effect of temporal smoothing on flicker and mIoU, and its cost."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor
from tqdm import tqdm

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth, ids_by_class
from lseg_lab.evaluation.metrics import ConfusionMatrix
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.segmenter import PreparedLabels, Segmenter
from lseg_ros.core.smoothing import ScoreSmoother
from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.sources import open_source

LABELS = (
    'floor=floor|rug', 'wall', 'ceiling', 'door', 'window', 'curtain', 'sofa', 'chair',
    'table=table|desk|coffee table', 'bed', 'cabinet=cabinet|wardrobe|dresser|counter|nightstand',
    'shelf=bookshelf', 'picture', 'plant', 'lamp',
)  # fmt: skip
SETTINGS = ((0.0, 'none'), (0.7, 'none'), (0.7, 'flow'), (0.8, 'flow'), (0.9, 'flow'))
SOURCES = {'front': 'drive', 'left': 'drive/left', 'rear': 'drive/rear'}
FRAMES = 20  # per clip
FRAME_RATE = 15.0
EVERY = 10  # a clip is made from every tenth picture of the drive
WINDOW = (352, 200)  # width and height in pixels of the part of a picture that a clip shows
STEP = (2.0, 0.7)  # pixels by which the window moves per frame
DESCRIPTION = """\
Segment slowly moving clips with known ground truth: windows that glide over pictures of the
recorded drive, all three cameras, with sensor noise added. "flicker" is the fraction of pixels
whose id changes from one frame to the next; the ground truth changes too, because the window
moves. "in place" compares the same scene points instead, which removes the motion. mIoU covers all
frames and is averaged over the cameras. "ms" is the median time of the smoothing alone, on a CPU.

  python benchmark/measure_smoothing.py
  python benchmark/measure_smoothing.py --noise 0
"""


@dataclass(frozen=True)
class Frame:
    """An image, uint8 [H, W, 3] RGB, its true ids, uint8 [H, W], and the window's motion.

    `shift` is (right, down) in pixels since the previous frame, None at the start of a clip.
    """

    image: np.ndarray
    truth: np.ndarray
    shift: tuple[int, int] | None


@dataclass
class Timed:
    """A smoother that records the milliseconds of each call."""

    smoother: ScoreSmoother
    times: list[float] = field(default_factory=list)

    def __call__(self, image: np.ndarray, scores: Tensor, covered: tuple[float, float]) -> Tensor:
        """Smooth and record the time taken."""
        started = time.perf_counter()
        scores = self.smoother(image, scores, covered)
        self.times.append(1000 * (time.perf_counter() - started))
        return scores


def main() -> None:
    """Measure and print one row per setting."""
    args = _parser().parse_args()
    segmenter = open_segmenter(args.model, device='cpu')
    prepared = segmenter.prepare(LabelRegistry().replace(LABELS))
    clips = {camera: list(_frames(camera, prepared, args.noise)) for camera in CAMERAS}
    changes = [
        _changed(before.truth, frame.truth)
        for frames in clips.values()
        for before, frame in itertools.pairwise(frames)
        if frame.shift is not None
    ]
    print(
        f'{len(CAMERAS)} x {len(clips[CAMERAS[0]])} frames of {WINDOW[0]}x{WINDOW[1]}, noise '
        f'{args.noise:g}; the ground truth changes by {np.mean(changes):.2%} per frame\n'
    )
    print(f'{"smoothing":>9} {"warp":>5} {"flicker":>8} {"in place":>8} {"mIoU":>6} {"ms":>5}')
    for smoothing, warp in SETTINGS:
        rows = [
            _measure(segmenter, prepared, frames, Timed(ScoreSmoother(smoothing, warp)))
            for frames in tqdm(clips.values(), unit='camera', leave=False)
        ]
        flicker, in_place, mean_iou, milliseconds = np.mean(rows, axis=0)
        print(
            f'{smoothing:>9.1f} {warp:>5} {flicker:>8.2%} {in_place:>8.2%} {mean_iou:>6.3f} {milliseconds:>5.1f}',
            flush=True,
        )


def _measure(
    segmenter: Segmenter, prepared: PreparedLabels, frames: list[Frame], timed: Timed
) -> tuple[float, float, float, float]:
    """Return flicker, flicker in place, mIoU and milliseconds for one camera's clips."""
    confusion = ConfusionMatrix(UNLABELLED)
    changes: list[float] = []
    in_place: list[float] = []
    before = np.empty(0, np.uint8)
    for number, frame in enumerate(frames):
        if frame.shift is None:
            timed.smoother.reset()
        timed.smoother.begin(number / FRAME_RATE)
        ids = segmenter.segment([frame.image], prepared, filters=[timed])[0].ids
        confusion.update(frame.truth, ids)
        if frame.shift is not None:
            x, y = frame.shift
            changes.append(_changed(before, ids))
            in_place.append(_changed(before[y:, x:], ids[: WINDOW[1] - y, : WINDOW[0] - x]))
        before = ids
    return (float(np.mean(changes)), float(np.mean(in_place)), confusion.mean_iou, float(np.median(timed.times)))


def _frames(camera: str, prepared: PreparedLabels, noise: float) -> Iterator[Frame]:
    """Yield the frames of all clips of a camera, one clip after another."""
    rng = np.random.default_rng(0)
    truth = DriveTruth(camera)
    table = ids_by_class(prepared.labels, truth.classes)
    for number, shot in enumerate(open_source(SOURCES[camera])):
        if number % EVERY:
            continue
        mask = table[truth.mask(number)]
        before: tuple[int, int] | None = None
        for step in range(FRAMES):
            x, y = corner = round(step * STEP[0]), round(step * STEP[1])
            window = np.s_[y : y + WINDOW[1], x : x + WINDOW[0]]
            image = shot.image[window] + rng.normal(0, noise, (*WINDOW[::-1], 3))
            shift = None if before is None else (x - before[0], y - before[1])
            yield Frame(image.round().clip(0, 255).astype(np.uint8), mask[window], shift)
            before = corner


def _changed(before: np.ndarray, after: np.ndarray) -> float:
    return float((before != after).mean())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='lseg-lite', help='model name or path')
    parser.add_argument(
        '--noise', type=float, default=4.0, help='standard deviation of the noise in grey levels of 255 (default: 4)'
    )
    return parser


if __name__ == '__main__':
    main()
