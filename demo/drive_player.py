# SPDX-License-Identifier: Apache-2.0
"""Play the recorded drive of a robot with three cameras to a segmentation node and score it live.

The demo starts this program as a process of its own. It publishes image, depth and camera info of
each camera, compares label images and points with the ground truth, and maps where the robot may
drive.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import rclpy
from PIL import Image as Picture
from rclpy.utilities import remove_ros_args
from tqdm import tqdm

from drive_camera import DriveCamera, drive_cameras, play
from drive_listener import DriveListener
from drive_score import DriveScore
from lseg_lab.evaluation.drive_truth import CAMERAS
from lseg_ros.error_text import one_line
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.conversions import image_to_rgb
from lseg_ros.nodes.spinning import spinning
from playing_options import RECORDED_RATE, playing_parser


def main() -> int:
    """Play the drive once, print the figures, save the pictures; return the exit code."""
    try:
        args = playing_parser(__doc__, RECORDED_RATE).parse_args(remove_ros_args()[1:])
        rclpy.init()
        figures = play_and_save(args.rate, args.output)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'demo drive: {one_line(error)}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    for name, value in figures.items():
        print(f'{name:<32}{value:>8.3f}' if isinstance(value, float) else f'{name:<32}{value:>8}')
    return 0


def play_and_save(rate: float, folder: Path) -> dict[str, float]:
    """Play the drive at `rate` frames per second; return the figures, saved with the pictures."""
    listener = DriveListener()
    try:
        with drive_cameras() as cameras, spinning(listener):
            SegmentationClient(listener).bring_up()
            score = listener.wait_for_table()
            _play(listener, score, cameras, rate)
            return save(listener, score, folder)
    finally:
        listener.destroy_node()


def _play(listener: DriveListener, score: DriveScore, cameras: dict[str, DriveCamera], rate: float) -> None:
    frames = play(cameras, rate, listener.get_clock().now)
    progress = tqdm(frames, 'drive', total=len(score), unit='frame', mininterval=1.0)
    for number, stamp in progress:
        listener.expect(number, stamp)
        progress.set_postfix_str(_summary(listener, score, number), refresh=False)
    listener.wait_for_quiet()


def save(listener: DriveListener, score: DriveScore, folder: Path) -> dict[str, float]:
    """Write cameras.png, map.png and figures.json; return the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    if listener.overlays:
        overlays = [image_to_rgb(listener.overlays[name]) for name in ('left', 'front', 'rear')]
        Picture.fromarray(np.hstack(overlays)).save(folder / 'cameras.png')
    Picture.fromarray(score.picture()).save(folder / 'map.png')
    figures = {f'mIoU {name}': score.mean_iou(name) for name in CAMERAS}
    published, segmented = len(score) * len(CAMERAS), listener.received['label_image']
    figures |= {
        'map: floor recall': score.floor_recall,
        'map: obstacles missed': score.obstacle_misses,
        'images published': published,
        'images dropped by the node': listener.dropped,
        'images lost in transport': max(0, published - segmented - listener.dropped),
        'label images received': segmented,
        'point clouds received': listener.received['points'],
    }
    (folder / 'figures.json').write_text(json.dumps(figures, indent=2))
    return figures


def _summary(listener: DriveListener, score: DriveScore, frames: int) -> str:
    """Return the scores after `frames` frames of each camera as one line."""
    by_camera = ' '.join(f'{name} {score.mean_iou(name):.2f}' for name in CAMERAS)
    return (
        f'mIoU {by_camera}, {listener.received["label_image"]} of {frames * len(CAMERAS)} '
        f'images segmented, {listener.dropped} dropped'
    )


if __name__ == '__main__':
    sys.exit(main())
