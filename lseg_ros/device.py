# SPDX-License-Identifier: Apache-2.0
"""Where the network runs and in which number format, from the words that users write."""
from __future__ import annotations

from types import MappingProxyType

import torch

PRECISIONS = MappingProxyType({'float32': torch.float32, 'float16': torch.float16,
                               'bfloat16': torch.bfloat16})


def find_device(name: str) -> torch.device:
    """Return the device called `name`; auto is a GPU when there is one, else the CPU.

    Raises ValueError with the reason when it cannot be used here.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'device {name!r} cannot be used here: {reason}') from error


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type called `name`; auto is float16 on a GPU, float32 on a CPU.

    Raises ValueError for a name that no precision has.
    """
    if name == 'auto':
        return torch.float16 if device.type == 'cuda' else torch.float32
    if name not in PRECISIONS:
        raise ValueError(f'unknown precision {name!r}: use auto, {", ".join(PRECISIONS)}')
    return PRECISIONS[name]
