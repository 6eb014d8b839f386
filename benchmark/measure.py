# SPDX-License-Identifier: Apache-2.0
"""Measure time and memory of several functions in alternation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

WARM_UP_RUNS = 40  # more than OpenVINO needs to see before it compiles for a size
WARM_UP_S = 5.0  # slow calls get fewer warm-up runs
LONGEST_S = 300.0  # and fewer repetitions
_STATUS = Path('/proc/self/status')
_CLEAR = Path('/proc/self/clear_refs')
Name = TypeVar('Name')


@dataclass(frozen=True)
class Measurement:
    """Cost of one function: ms of each call, CPU seconds per call, peak memory in MB."""

    times_ms: tuple[float, ...]
    cpu_s: float
    peak_mb: float

    def percentile(self, percent: float) -> float:
        """Return a percentile of the milliseconds per call."""
        return float(np.percentile(self.times_ms, percent))


def measure_in_turn(
    calls: Mapping[Name, Callable[[], object]], device: torch.device, repeats: int
) -> dict[Name, Measurement]:
    """Call each of `calls` `repeats` times, in alternation so that other load affects all alike.

    No round starts after five minutes. Each call includes waiting for the GPU to finish. Peak
    memory is the GPU's if `device` is one, otherwise that of this process.
    """
    progress = tqdm(total=(1 + repeats) * len(calls), unit='call', leave=False)
    peak: dict[Name, float] = {}
    for name, call in calls.items():
        peak[name] = _warm_up(call, device)
        progress.update()
    times: dict[Name, list[float]] = {name: [] for name in calls}
    cpu: dict[Name, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + LONGEST_S
    for number in range(repeats):
        if number and time.perf_counter() > end:
            break
        for name, call in calls.items():
            started, cpu_started = time.perf_counter(), time.process_time()
            call()
            _finish(device)
            times[name].append(1000 * (time.perf_counter() - started))
            cpu[name].append(time.process_time() - cpu_started)
            progress.update()
    progress.close()
    return {name: Measurement(tuple(times[name]), float(np.median(cpu[name])), peak[name]) for name in calls}


def _warm_up(call: Callable[[], object], device: torch.device) -> float:
    """Call a function a few times; return the peak memory of the first call in MB."""
    started = time.perf_counter()
    peak_mb = _peak_mb(call, device)
    for _ in range(WARM_UP_RUNS):
        if time.perf_counter() < started + WARM_UP_S:
            call()
    return peak_mb


def _peak_mb(call: Callable[[], object], device: torch.device) -> float:
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        call()
        _finish(device)
        return torch.cuda.max_memory_allocated(device) / 2**20
    _CLEAR.write_text('5')  # reset VmHWM
    call()
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith('VmHWM'))
    return int(line.split()[1]) / 1024


def _finish(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
