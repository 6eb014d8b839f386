# SPDX-License-Identifier: Apache-2.0
"""A digest of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weight_digest(state: Mapping[str, Tensor]) -> str:
    """Return 16 hexadecimal digits that depend on the names of tensors and on all their bits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
