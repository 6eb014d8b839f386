# SPDX-License-Identifier: Apache-2.0
"""Work shared by several processes that torchrun has started; one process without it."""

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
    """This process among its equals."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that talks to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all have come here."""
        self.sum(np.zeros(1, np.int64))

    def sum(self, counts: np.ndarray) -> np.ndarray:
        """Return the sum of all processes' `counts`, int64 of one shape; each gets it."""
        if self.count == 1:
            return counts
        total = torch.from_numpy(counts).to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.cpu().numpy()


@contextmanager
def workers(device: str) -> Iterator[Workers]:
    """Within the block the processes of torchrun, each on its GPU, can wait and add up.

    `device` is what users write: auto, cpu, cuda ...; under torchrun auto and cuda are the GPU of
    the process's local rank. Raises ValueError when it cannot be used here.
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
        distributed.barrier()  # none leaves while another still talks to it
    finally:
        distributed.destroy_process_group()
