# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in the published layout whose weights are a pure function of key and shape.

The numbers in data/parity.npz were computed by the authors' network with the same weights.
"""

import hashlib
import math

import numpy as np
import torch

from lseg_ros.model.published import NETWORKS, published_key
from lseg_ros.model.zoo import build

SPREAD = {
    'running_mean': (0.0, 0.1),
    'running_var': (1.0, 0.25),
    'cls_token': (0.0, 0.2),
    'pos_embed': (0.0, 0.2),
    'positional_embedding': (0.0, 0.1),
}


def published_state(model):
    """Return a published state dict, prefix and all, that fits `model` (it may be on meta)."""
    keys = {
        published_key(key): tensor.shape for key, tensor in model.state_dict().items() if tensor.is_floating_point()
    }
    return {f'net.{key}': torch.from_numpy(fill(key, tuple(shape))) for key, shape in keys.items()}


def published_outline(name):
    """Return a state dict of the network `name` under the authors' keys, without a prefix.

    One number is seen in every shape: names and shapes are what it is for, and the file is small.
    """
    state = build(NETWORKS[name].config, device='meta').state_dict()
    return {published_key(key): torch.zeros(()).expand(tensor.shape) for key, tensor in state.items()}


def fill(key, shape):
    """Return float32 numbers: base + amplitude * r, r in [-1, 1) from splitmix64 of the key."""
    base, amplitude = _spread(key, shape)
    text = f'{key}|{"x".join(map(str, shape))}'
    seed = np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'little'))
    count = math.prod(shape)
    out = np.empty(count, np.float32)
    step = 1 << 18  # stays in the processor's cache
    for start in range(0, count, step):
        z = np.arange(start + 1, min(count, start + step) + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z += seed
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(31)
        unit = (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
        out[start : start + step] = np.float32(base) + np.float32(amplitude) * unit
    return out.reshape(shape)


def _spread(key, shape):
    """Return base and amplitude of a tensor's numbers."""
    leaf = key.rsplit('.', 1)[-1]
    if leaf in SPREAD:
        return SPREAD[leaf]
    if key.endswith('token_embedding.weight'):
        return 0.0, 0.5
    if len(shape) == 1:
        return (1.0, 0.1) if leaf == 'weight' else (0.0, 0.02)
    transposed = key.startswith('pretrained.act_postprocess') and key.endswith('.4.weight') and key[26] in '123'
    fan_in = shape[0] if transposed or leaf == 'text_projection' else math.prod(shape[1:])
    return 0.0, math.sqrt(3 / fan_in)
