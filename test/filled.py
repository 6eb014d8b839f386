# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in the published layout whose weights are a pure function of key and shape.

The numbers in data/parity.npz and data/open_parity.npz were computed by the authors' networks
with the same weights.
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
OPEN_SPREAD = {
    'gamma': (0.8, 0.3),  # of a layer scale
    'logit_scale': (4.6052, 0.0),
    **dict.fromkeys(('cls_token', 'register_tokens', 'pos_embed', 'mask_token'), (0.0, 1.0)),
    **dict.fromkeys(('class_embedding', 'positional_embedding'), (0.0, 0.1)),
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


def fill(key, shape, spread=None):
    """Return float32 numbers: base + amplitude * r, r in [-1, 1) from splitmix64 of the key."""
    base, amplitude = (spread or _spread)(key, shape)
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


def spread_open(key, shape):
    """Return base and amplitude of the numbers of open encoders' tensors, by published key.

    Patches differ and attention is not uniform, so that a fault shows.
    """
    leaf = key.rsplit('.', 1)[-1]
    if leaf in OPEN_SPREAD:
        return OPEN_SPREAD[leaf]
    if key.endswith('token_embedding.weight'):  # TIPS multiplies it by the root of the width
        return 0.0, math.sqrt(3 / shape[1]) if key.startswith('text_encoder.') else 0.5
    if len(shape) == 1:
        return (1.0, 0.1) if leaf == 'weight' else (0.0, 0.02)
    gain = 4.0 if key.endswith('patch_embed.proj.weight') else 1.0
    if key.endswith(('attn.qkv.weight', 'attn.in_proj_weight')):
        gain = 2.0
    fan_in = shape[0] if leaf in ('text_projection', 'proj') else math.prod(shape[1:])
    return 0.0, gain * math.sqrt(3 / fan_in)


def tips_shapes(width, blocks, layers, feedforward, vocabulary):
    """Return the shapes of a published TIPS state dict by key."""
    text = 'text_encoder.'
    shapes = {
        **patch_shapes(width, blocks, prefix='vision_encoder.'),
        f'{text}token_embedding.weight': (vocabulary, width),
        f'{text}ln_final.weight': (width,),
        f'{text}ln_final.bias': (width,),
    }
    for layer in range(layers):
        block = f'{text}transformer.resblocks.{layer}.'
        shapes |= {
            f'{block}attn.in_proj_weight': (3 * width, width),
            f'{block}attn.in_proj_bias': (3 * width,),
            **_linear(f'{block}attn.out_proj', width, width),
            **_linear(f'{block}mlp.c_fc', feedforward, width),
            **_linear(f'{block}mlp.c_proj', width, feedforward),
        }
        shapes |= {f'{block}{norm}.{kind}': (width,) for norm in ('ln_1', 'ln_2') for kind in ('weight', 'bias')}
    return shapes


def patch_shapes(width, blocks, registers=1, side=32, prefix=''):
    """Return the shapes of a published state dict of a transformer in DINOv2's layout."""
    shapes = {
        f'{prefix}cls_token': (1, 1, width),
        f'{prefix}pos_embed': (1, 1 + side**2, width),
        f'{prefix}register_tokens': (1, registers, width),
        f'{prefix}mask_token': (1, width),
        f'{prefix}patch_embed.proj.weight': (width, 3, 14, 14),
        f'{prefix}patch_embed.proj.bias': (width,),
        f'{prefix}norm.weight': (width,),
        f'{prefix}norm.bias': (width,),
    }
    for number in range(blocks):
        block = f'{prefix}blocks.{number}.'
        shapes |= {
            **_linear(f'{block}attn.qkv', 3 * width, width),
            **_linear(f'{block}attn.proj', width, width),
            **_linear(f'{block}mlp.fc1', 4 * width, width),
            **_linear(f'{block}mlp.fc2', width, 4 * width),
        }
        shapes |= {f'{block}{norm}.{kind}': (width,) for norm in ('norm1', 'norm2') for kind in ('weight', 'bias')}
        shapes |= {f'{block}{scale}.gamma': (width,) for scale in ('ls1', 'ls2')}
    return shapes


def _linear(name, rows, columns):
    return {f'{name}.weight': (rows, columns), f'{name}.bias': (rows,)}


def filled_open(shapes):
    """Return the tensors of an open encoder, by published key."""
    return {key: torch.from_numpy(fill(key, shape, spread_open)) for key, shape in shapes.items()}
