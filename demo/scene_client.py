# SPDX-License-Identifier: Apache-2.0
"""Change the labels of a running segmentation node and save what it publishes.

The demo starts this program as the robot's own process. It uses only the node's public interface:
it brings the lifecycle node up, calls `set_labels` while frames flow, and saves pictures and
figures for each label set.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image

from frame_recorder import FrameRecorder
from lseg_ros.error_text import one_line
from lseg_ros.labels.ids import OTHER
from lseg_ros.labels.syntax import topic_name
from lseg_ros.msg import LabelSet
from lseg_ros.nodes.client import SegmentationClient
from lseg_ros.nodes.conversions import image_to_rgb
from lseg_ros.nodes.spinning import spinning
from lseg_ros.number_options import whole

MASKS_SHOWN = 3
REQUESTS = '[["name", ["label", "another label"]]]'


def main() -> int:
    """Show each label set, save pictures and figures; return the exit code."""
    try:
        args = _parser().parse_args(remove_ros_args()[1:])
        rclpy.init()
        recorder = FrameRecorder()
        with spinning(recorder):
            figures = show_label_sets(recorder, args.requests, args.output, args.frames)
        (args.output / 'figures.json').write_text(json.dumps(figures))
    except (OSError, RuntimeError, ValueError) as error:
        print(f'demo client: {one_line(error)}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, required=True, help='folder for the pictures')
    parser.add_argument('--requests', type=_requests, required=True, help=f'JSON: {REQUESTS}')
    parser.add_argument('--frames', type=whole(1), default=20, help='label images to time per set')
    return parser


def _requests(text: str) -> list[tuple[str, list[str]]]:
    """Return the (name, labels) in a JSON text."""
    try:
        requests = [(name, labels) for name, labels in json.loads(text)]
    except (TypeError, ValueError):
        requests = []
    texts = [part for name, labels in requests for part in (name, *(labels if isinstance(labels, list) else [None]))]
    if not requests or not all(isinstance(part, str) for part in texts):
        raise argparse.ArgumentTypeError(f'{text!r} is not JSON like {REQUESTS}')
    return requests


def show_label_sets(
    recorder: FrameRecorder, requests: list[tuple[str, list[str]]], folder: Path, frames: int
) -> dict[str, object]:
    """Bring the node up, set each (name, labels) of `requests` in turn and return the figures.

    Pictures go to `folder`, into a subfolder for each name; `frames` label images of each set are
    timed.
    """
    client = SegmentationClient(recorder)
    client.bring_up()
    recorder.wait_for_label_images(1)  # so that labels change while frames flow
    delays_ms = {}
    for name, labels in requests:
        delays_ms[name] = show_label_set(client, recorder, labels, folder / name)
        recorder.wait_for_label_images(frames)
    return {'label_change_ms': delays_ms, **recorder.measurements()}


def show_label_set(client: SegmentationClient, recorder: FrameRecorder, labels: list[str], folder: Path) -> float:
    """Set the labels and save pictures; return the ms from the response to the first new mask."""
    response = client.set_labels(labels)
    responded = time.monotonic()
    if not response.success:
        raise RuntimeError(f'set_labels refused {labels}: {response.message}')
    label_set = response.label_set
    since_ns = Time.from_msg(label_set.header.stamp).nanoseconds
    first, arrived = recorder.wait_for_label_image(since_ns)
    masks = [f'masks/{topic_name(name)}' for name in _largest_classes(first, label_set)]
    frame = recorder.wait_for_frame(['image', 'label_image', 'overlay', *masks], since_ns)
    _save_pictures(frame, label_set, folder)
    return (arrived - responded) * 1e3


def _largest_classes(label_image: Image, label_set: LabelSet) -> list[str]:
    """Return the names of the classes that cover most of the image, largest first, not `other`."""
    pixels = np.bincount(np.frombuffer(label_image.data, np.uint8), minlength=256)
    classes = [entry for entry in label_set.classes if entry.id != OTHER]
    classes.sort(key=lambda entry: -pixels[entry.id])
    return [entry.name for entry in classes[:MASKS_SHOWN]]


def _save_pictures(frame: dict[str, Image], label_set: LabelSet, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    palette = np.zeros((256, 3), np.uint8)
    for entry in label_set.classes:
        color = (entry.color.r, entry.color.g, entry.color.b)
        palette[entry.id] = [round(255 * channel) for channel in color]
    for topic, message in frame.items():
        pixels = image_to_rgb(message)
        if topic == 'label_image':
            pixels = palette[pixels[..., 0]]
        name = 'input' if topic == 'image' else topic.replace('masks/', 'mask_')
        # OpenCV releases the GIL, so the thread that measures latencies is not held up.
        cv2.imwrite(str(folder / f'{name}.png'), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


if __name__ == '__main__':
    sys.exit(main())
