# SPDX-License-Identifier: Apache-2.0
"""Devices, number formats and CPU threads, from the names that users write."""

from __future__ import annotations

import gc
from types import MappingProxyType

import cv2
import torch

_ALL_THREADS = torch.get_num_threads()
PRECISIONS = MappingProxyType({'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16})


def find_device(name: str | torch.device) -> torch.device:
    """Return the device called `name`; auto is a GPU if there is one, else the CPU.

    Raise ValueError, with the reason, if it cannot be used here.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'device {str(name)!r} cannot be used here: {reason}') from error


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype called `name`; auto is the fastest that preserves the result.

    That is float16 on a GPU with tensor cores, else float32. On a CPU bfloat16 is faster still,
    but changes the class of a few percent of the pixels. Raise ValueError for an unknown name.
    """
    if name == 'auto':
        return torch.float16 if _has_tensor_cores(device) else torch.float32
    if name not in PRECISIONS:
        raise ValueError(f'unknown precision {name!r}: use auto, {", ".join(PRECISIONS)}')
    return PRECISIONS[name]


def limit_cpu_threads(threads: int) -> None:
    """Limit PyTorch and OpenCV to this many CPU threads in this process; 0 is no limit.

    Raise ValueError for a negative number.
    """
    if threads < 0:
        raise ValueError(f'cpu_threads must be 0 or more, not {threads}')
    torch.set_num_threads(threads or _ALL_THREADS)
    cv2.setNumThreads(threads or _ALL_THREADS)


def free_memory() -> None:
    """Release the device memory of networks that are no longer in use."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _has_tensor_cores(device: torch.device) -> bool:
    return device.type == 'cuda' and torch.cuda.get_device_capability(device) >= (7, 0)
