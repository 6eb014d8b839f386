# SPDX-License-Identifier: Apache-2.0
"""Lower bound on a network's run time: its operations at the device's measured peak rate."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model import LSeg

GEMM_S = 1.0  # time to spend measuring the peak rate


def floor_ms(model: LSeg, images: Tensor, text: Tensor, dtype: torch.dtype) -> float:
    """Return the milliseconds from uint8 images to logits at the device's peak rate in `dtype`.

    Counts the operations of the folded network, two for each multiply-add, and ignores memory
    traffic.
    """
    network = FoldedNetwork(model, torch.float32)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.correlate(network(images), network.project(text))
    rate = gemm_rate(str(images.device), dtype, torch.get_num_threads())
    return 1000 * counter.get_total_flops() / rate


@lru_cache
def gemm_rate(device: str, dtype: torch.dtype, threads: int) -> float:
    """Return the operations per second of a large matrix product, the best of several runs.

    `threads` is PyTorch's number of CPU threads; it is part of the cache key.
    """
    on_gpu = torch.device(device).type == 'cuda'
    side = 8192 if on_gpu else 1024
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, end = float('inf'), time.perf_counter() + GEMM_S
    while time.perf_counter() < end:
        started = time.perf_counter()
        left @ right
        if on_gpu:
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
