# SPDX-License-Identifier: Apache-2.0
"""Measure the real node in a process of its own: image message to label-image message."""

from __future__ import annotations

import time

from lseg_ros.nodes.client import SegmentationClient
from measure import Measurement
from node_process import Camera, Process, running_node
from rows import Row
from scenarios import FULL_HD, HD, USUAL_LABELS, VGA, Setting, label_set, picture

WARM_UP_FRAMES = 5
IDLE_S = 5.0


def measure_node(setting: Setting, threads: int) -> list[Row]:
    """Measure configuring, idling, and frames of three sizes sent one at a time."""
    labels = [label.spec for label in label_set(USUAL_LABELS).classes if label.id]
    parameters = {
        'model': setting.model,
        'device': str(setting.device),
        'labels': str(labels),
        'precision': setting.precision,
        'cpu_threads': str(threads),
    }
    with running_node(parameters) as (client, camera, process):
        rows = [_configure(setting, client, process)]
        client.bring_up()
        rows.append(_idle(setting, process))
        rows += [_frames(setting, size, camera, process) for size in (VGA, HD, FULL_HD)]
    return rows


def _configure(setting: Setting, client: SegmentationClient, process: Process) -> Row:
    before, started = process.cpu_s(), time.perf_counter()
    if not client.configure():
        raise RuntimeError('the segmentation node failed to configure: see its log')
    times = (1000 * (time.perf_counter() - started),)
    taken = Measurement(times, process.cpu_s() - before, process.memory_mb('VmHWM'))
    return setting.row('d configure', VGA).filled(taken)


def _idle(setting: Setting, process: Process) -> Row:
    before = process.cpu_s()
    time.sleep(IDLE_S)
    share = (process.cpu_s() - before) / IDLE_S
    taken = Measurement((1000.0,), share, process.memory_mb('VmRSS'))
    return setting.row('d idle for a second, no camera', VGA).filled(taken)


def _frames(setting: Setting, size: tuple[int, int], camera: Camera, process: Process) -> Row:
    image = picture(size)
    for _ in range(WARM_UP_FRAMES):
        camera.segment(image)
    before = process.cpu_s()
    times = tuple(camera.segment(image) for _ in range(setting.repeats))
    taken = Measurement(times, (process.cpu_s() - before) / setting.repeats, process.memory_mb('VmHWM'))
    return setting.row('d message to message', size).filled(taken)
