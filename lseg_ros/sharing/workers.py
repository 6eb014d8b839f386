# SPDX-License-Identifier: Apache-2.0
"""Share work among processes started by torchrun; without it there is one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import distributed

from lseg_ros.backends.device import find_device

# Some processes finish long before others.
TIMEOUT = timedelta(days=7)


@dataclass(frozen=True)
class Workers:
    """This process within its group."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Return whether this process reports to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all processes have reached this point."""
        self.sum(np.zeros(1, np.int64))

    def sum(self, counts: np.ndarray) -> np.ndarray:
        """Return the sum of all processes' `counts` (int64, one shape) to each of them."""
        if self.count == 1:
            return counts
        total = torch.from_numpy(counts).to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.cpu().numpy()


@contextmanager
def workers(device: str) -> Iterator[Workers]:
    """Connect the processes of torchrun, each with its GPU, within the block.

    `device` is as users write it: auto, cpu, cuda ...; under torchrun auto and cuda mean the GPU
    of the process' local rank. Raise ValueError if the device cannot be used.
    """
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1:
        yield Workers(find_device(device))
        return
    if device in ('auto', 'cuda') and torch.cuda.is_available():
        device = f'cuda:{os.environ["LOCAL_RANK"]}'
    found = find_device(device)
    distributed.init_process_group('nccl' if found.type == 'cuda' else 'gloo', timeout=TIMEOUT)
    try:
        yield Workers(found, distributed.get_rank(), count)
        distributed.barrier()  # no process leaves while others still communicate with it
    finally:
        distributed.destroy_process_group()
