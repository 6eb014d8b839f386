# SPDX-License-Identifier: Apache-2.0
"""Measure the node while cameras send at a fixed rate, as on a robot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from measure import Measurement
from node_process import Camera, Process
from rows import Row
from scenarios import VGA, Setting, picture

SECONDS = 5.0
LAST_S = 2.0  # by which the last label images have arrived


def measure_rate(setting: Setting, cameras: Sequence[Camera], hz: float, process: Process) -> Row:
    """Let each camera send VGA images at `hz`, evenly spread over the period."""
    image = picture(VGA)
    for camera in cameras:
        camera.segment(image)
        camera.forget()
    before, started = process.cpu_s(), time.perf_counter()
    sent = 0
    while (due := started + sent / (hz * len(cameras))) < started + SECONDS:
        time.sleep(max(0.0, due - time.perf_counter()))
        cameras[sent % len(cameras)].send(image)
        sent += 1
    time.sleep(max(0.0, started + SECONDS - time.perf_counter()))
    elapsed, cpu_s = time.perf_counter() - started, process.cpu_s() - before
    time.sleep(LAST_S)
    times = tuple(each for camera in cameras for each in camera.times_ms)
    many = f'{len(cameras)} cameras' if len(cameras) > 1 else '1 camera'
    row = replace(setting.row(f'e {many} at {hz:g} Hz', VGA), sent=sent, received=len(times))
    if not times:
        return row.because('too slow')
    row = row.filled(Measurement(times, cpu_s / len(times), process.memory_mb('VmHWM')))
    return replace(row, per_second=len(times) / elapsed, cores=cpu_s / elapsed)
