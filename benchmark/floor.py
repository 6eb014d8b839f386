# SPDX-License-Identifier: Apache-2.0
"""The least time that a network's arithmetic takes: its operations over the device's peak."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model import LSeg

GEMM_S = 1.0  # for how long the peak is sought


def floor_ms(model: LSeg, images: Tensor, text: Tensor, dtype: torch.dtype) -> float:
    """Return the milliseconds of uint8 images -> logits at the peak of the device in `dtype`.

    The operations are those of the folded network, two for a multiplication with an addition;
    memory traffic counts as nothing.
    """
    network = FoldedNetwork(model, torch.float32)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.correlate(network(images), network.project(text))
    rate = gemm_rate(str(images.device), dtype, torch.get_num_threads())
    return 1000 * counter.get_total_flops() / rate


@lru_cache
def gemm_rate(device: str, dtype: torch.dtype, threads: int) -> float:
    """Return the operations a second of a large matrix product, the best of several runs.

    `threads` is how many CPU threads PyTorch has: another number is another device.
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
