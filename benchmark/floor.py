# SPDX-License-Identifier: Apache-2.0
"""The least time that a network's arithmetic takes: its operations over the device's peak."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lseg_ros.model import LSeg

GEMM_RUNS = 20


def floor_ms(model: LSeg, pixels: Tensor, text: Tensor, dtype: torch.dtype) -> float:
    """Return the milliseconds of pixels -> logits at the peak rate of the device in `dtype`.

    A multiplication and an addition count as two operations; memory traffic counts as nothing.
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.correlate(model.encode_image(pixels), text)
    rate = gemm_rate(str(pixels.device), dtype, torch.get_num_threads())
    return 1000 * counter.get_total_flops() / rate


@lru_cache
def gemm_rate(device: str, dtype: torch.dtype, threads: int) -> float:
    """Return the operations a second of a large matrix product, the best of several runs.

    `threads` is how many CPU threads PyTorch has: another number is another device.
    """
    on_gpu = torch.device(device).type == 'cuda'
    side = 8192 if on_gpu else 1024
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float('inf')
    for _ in range(GEMM_RUNS):
        started = time.perf_counter()
        left @ right
        if on_gpu:
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
