# SPDX-License-Identifier: Apache-2.0
"""Measure the real node in a process of its own: image message to label-image message."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from at_a_rate import measure_rate
from lseg_ros.nodes.client import SegmentationClient
from measure import Measurement
from networks import stored_network
from node_process import Camera, Process, running_node
from rows import Row
from scenarios import FULL_HD, HD, USUAL_LABELS, VGA, Setting, label_set, picture

WARM_UP_FRAMES = 40  # more than OpenVINO needs to see before it compiles for a size
IDLE_S = 5.0
LONGEST_S = 30.0  # for the frames of one size: slow networks get fewer of them
CAMERAS = ('front', 'left', 'right')
RATES_HZ = (10.0, 30.0)


def measure_node(setting: Setting, threads: int) -> Iterator[list[Row]]:
    """Measure one camera whose images are sent one at a time, then one and three at a rate."""
    with stored_network(setting.model) as model:
        parameters = {
            'model': model,
            'device': str(setting.device),
            'labels': str([label.spec for label in label_set(USUAL_LABELS).classes if label.id]),
            'precision': setting.precision,
            'cpu_threads': str(threads),
        }
        with running_node(parameters) as (client, node, process):
            rows = [_configure(setting, client, process)]
            client.bring_up()
            rows.append(_idle(setting, process))
            camera, echo = Camera(node), Camera(node, 'echo', 'echo')
            for size in (VGA, HD, FULL_HD):
                rows.append(_one_by_one(setting.row('d message to message', size), setting.repeats, camera, process))
            for size in (VGA, HD, FULL_HD):
                row = setting.row("d of which the benchmark's own messages", size)
                rows.append(_one_by_one(row, setting.repeats, echo, Process(os.getpid())))
            yield rows
            yield [measure_rate(setting, [camera], hz, process) for hz in RATES_HZ]
        with running_node(parameters | {'cameras': str(list(CAMERAS))}) as (client, node, process):
            client.bring_up()
            cameras = [Camera(node, f'{name}/image', f'lseg/{name}/label_image') for name in CAMERAS]
            yield [measure_rate(setting, cameras, hz, process) for hz in RATES_HZ]


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


def _one_by_one(row: Row, repeats: int, camera: Camera, process: Process) -> Row:
    """Send an image of the row's size when the last has come back; fill in what `process` needs."""
    width, height = map(int, row.size.split('x'))
    image = picture((width, height))
    end = time.perf_counter() + LONGEST_S
    for _ in range(WARM_UP_FRAMES):
        if time.perf_counter() < end:
            camera.segment(image)
    before = process.cpu_s()
    times = [camera.segment(image)]
    while len(times) < repeats and time.perf_counter() < end:
        times.append(camera.segment(image))
    cpu_s = (process.cpu_s() - before) / len(times)
    return row.filled(Measurement(tuple(times), cpu_s, process.memory_mb('VmHWM')))
