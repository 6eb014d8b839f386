# SPDX-License-Identifier: Apache-2.0
"""Play the recorded drive of a robot with three cameras, and ask the map that it gives.

The demo starts this program as a process of its own. It publishes image, depth, camera info and
pose of each camera, asks the map node for what is in the flat and for what is not, and compares
the answers with the ground truth.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import rclpy
from rclpy.utilities import remove_ros_args
from tqdm import tqdm

from drive_camera import DriveCamera, drive_cameras, play
from lseg_lab.evaluation.drive_truth import DriveTruth
from lseg_lab.evaluation.map_truth import ABSENT, ASKED, LABELS, ScoredAnswer, TrueVoxels, summary, true_voxels
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.mapping.observation import DepthLimits
from lseg_ros.msg import MapAnswer
from lseg_ros.nodes.client import MapClient, SegmentationClient
from lseg_ros.nodes.label_messages import label_set_from_message
from lseg_ros.nodes.spinning import spinning
from map_listener import MapListener
from map_picture import map_picture
from playing_options import playing_parser

PACE = 2.0  # frames per second: both nodes keep up, even on a busy machine


def main() -> int:
    """Play the drive, print the answers, save map and picture; return the exit code."""
    try:
        args = playing_parser(__doc__, PACE).parse_args(remove_ros_args()[1:])
        args.output.mkdir(parents=True, exist_ok=True)
        rclpy.init()
        scored = play_and_ask(args.rate, args.output)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'demo map: {one_line(error)}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    print(f'\n{"asked":<18}{"score":>6}   from the nearest true one')
    print('\n'.join([*(answer.row() for answer in scored), summary(scored)]))
    return 0


def play_and_ask(rate: float, folder: Path) -> list[ScoredAnswer]:
    """Play the drive at `rate` frames per second; return the answers, saved with the picture."""
    listener = MapListener()
    try:
        with drive_cameras() as cameras, spinning(listener):
            segmentation, known = SegmentationClient(listener), MapClient(listener)
            segmentation.bring_up()
            known.bring_up()
            labels = _set_labels(segmentation)
            truth = true_voxels(known.get_parameter('voxel_size'), DepthLimits(most=known.get_parameter('max_depth')))
            _play(listener, cameras, rate)
            published = listener.wait_for_map()
            prompts = (*truth.largest(ASKED), *ABSENT)
            answers = _ask(known, prompts)
            _save(known, folder / 'map.safetensors')
    finally:
        listener.destroy_node()
    map_picture(published, labels, answers, truth, prompts).save(folder / 'map.png')
    scored = [_scored(prompt, answers.get(prompt), truth) for prompt in prompts]
    (folder / 'answers.json').write_text(json.dumps([*map(asdict, scored)], indent=2))
    return scored


def _play(listener: MapListener, cameras: dict[str, DriveCamera], rate: float) -> None:
    frames = play(cameras, rate, listener.get_clock().now)
    progress = tqdm(frames, 'drive', total=len(DriveTruth()), unit='frame', mininterval=1.0)
    for number, _ in progress:
        published = number * len(cameras)
        progress.set_postfix_str(
            f'{listener.frames} of {published} images in the map, {listener.voxel_count} voxels', refresh=False
        )


def _set_labels(segmentation: SegmentationClient) -> LabelSet:
    response = segmentation.set_labels(LABELS)
    if not response.success:
        raise RuntimeError(response.message)
    return label_set_from_message(response.label_set)


def _ask(known: MapClient, prompts: tuple[str, ...]) -> dict[str, MapAnswer]:
    """Return the best answer to each prompt that has one."""
    response = known.query_map(prompts)
    if not response.success:
        raise RuntimeError(response.message)
    return {answer.prompt: answer for answer in reversed(response.answers)}


def _save(known: MapClient, path: Path) -> None:
    response = known.save_map(str(path.absolute()))
    if not response.success:
        raise RuntimeError(response.message)


def _scored(prompt: str, answer: MapAnswer | None, truth: TrueVoxels) -> ScoredAnswer:
    if answer is None:
        return ScoredAnswer(prompt, None, None)
    centre = np.array([answer.center.x, answer.center.y, answer.center.z])
    return ScoredAnswer(prompt, answer.score, truth.distance(prompt, centre))


if __name__ == '__main__':
    sys.exit(main())
