# SPDX-License-Identifier: Apache-2.0
"""Play the recorded drive of a robot with three cameras to a segmentation node and score it live.

The demo starts this program as a process of its own. It publishes image, depth and camera info of
each camera, compares label images and points with the ground truth, and maps where the robot may
drive.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rclpy
from PIL import Image as Picture
from rclpy.utilities import remove_ros_args
from tqdm import tqdm

from drive_camera import DriveCamera
from drive_listener import DriveListener
from drive_score import DriveScore
from lseg_lab.evaluation.drive_truth import CAMERAS
from lseg_ros.error_text import one_line
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.conversions import image_to_rgb
from lseg_ros.nodes.spinning import spinning


def main() -> int:
    """Play the drive once, print the figures, save the pictures; return the exit code."""
    try:
        args = _parser().parse_args(remove_ros_args()[1:])
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
    with ExitStack() as cleanup:
        listener = DriveListener()
        cleanup.callback(listener.destroy_node)
        cameras = {name: DriveCamera(name) for name in CAMERAS}
        for camera in cameras.values():
            cleanup.callback(camera.close)
        cleanup.enter_context(spinning(listener))
        SegmentationClient(listener).bring_up()
        score = listener.wait_for_table()
        frames = play(listener, score, cameras, rate)
        return save(listener, score, frames, folder)


def play(listener: DriveListener, score: DriveScore, cameras: dict[str, DriveCamera], rate: float) -> int:
    """Publish every frame, `rate` per second; return their number.

    Like a robot's cameras, it does not wait for the node, which drops the frames that it cannot
    keep up with.
    """
    shots = zip(*(camera.recording for camera in cameras.values()))
    progress = tqdm(enumerate(shots), 'drive', total=len(score), unit='frame', mininterval=1.0)
    started = time.monotonic()
    for number, frame in progress:
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        stamp = listener.get_clock().now()
        listener.expect(number, stamp)
        for camera, shot in zip(cameras.values(), frame):
            camera.publish(shot, stamp)
        progress.set_postfix_str(_summary(listener, score, number + 1), refresh=False)
    listener.wait_for_quiet()
    return len(score)


def save(listener: DriveListener, score: DriveScore, frames: int, folder: Path) -> dict[str, float]:
    """Write cameras.png, map.png and figures.json; return the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    if listener.overlays:
        overlays = [image_to_rgb(listener.overlays[name]) for name in ('left', 'front', 'rear')]
        Picture.fromarray(np.hstack(overlays)).save(folder / 'cameras.png')
    Picture.fromarray(score.picture()).save(folder / 'map.png')
    figures = {f'mIoU {name}': score.mean_iou(name) for name in CAMERAS}
    published, segmented = frames * len(CAMERAS), listener.received['label_image']
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, required=True, help='folder for the pictures')
    parser.add_argument(
        '--rate', type=_rate, default=5.0, help='frames per second of each camera (default: %(default)s, as recorded)'
    )
    return parser


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r} is not a rate: give a number above 0')
    return rate


if __name__ == '__main__':
    sys.exit(main())
