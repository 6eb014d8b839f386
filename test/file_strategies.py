# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for the contents of files, sound or damaged."""

from __future__ import annotations

import numpy as np
import torch
import yaml
from hypothesis import strategies as st

TEXT = st.text(max_size=20)
WORDS = st.sampled_from(['labels', 'groups', 'floor', 'door', 'other', 'floor=floor|ground', 'a=b=c', ''])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | WORDS | WORDS | TEXT
DAMAGE = st.sampled_from(['whole', 'cut', 'changed', 'changed', 'moved', 'other'])
LENGTHS, UINT8 = st.integers(1, 64), st.integers(0, 2**8 - 1)


def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Return `data` as it is, cut, with bytes changed, removed or repeated, or other bytes."""
    kind = draw(DAMAGE)
    at, length = draw(st.integers(0, len(data) - 1)), draw(LENGTHS)
    if kind == 'cut':
        return data[:at]
    if kind == 'changed':
        changed = bytearray(data)
        for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=8)):
            changed[place] = draw(UINT8)
        return bytes(changed)
    if kind == 'moved':
        return data[:at] + data[at : at + length] * draw(st.sampled_from([0, 2, 3])) + data[at + length :]
    return draw(st.binary(max_size=200)) if kind == 'other' else data


damaged = st.composite(damage)


def documents() -> st.SearchStrategy[object]:
    """Draw what a YAML or JSON file may hold: scalars in lists and mappings, nested."""
    return st.recursive(
        SCALARS,
        lambda parts: st.lists(parts, max_size=4) | st.dictionaries(WORDS | TEXT, parts, max_size=4),
        max_leaves=12,
    )


def yaml_files() -> st.SearchStrategy[bytes]:
    """Draw the bytes of a YAML file, or of one that is none."""
    whole = documents().map(lambda document: yaml.safe_dump(document, allow_unicode=True).encode())
    return whole | whole.flatmap(damaged) | st.binary(max_size=100)


def deep(opening: str, closing: str) -> str:
    """Return a document that nests deeper than Python recurses."""
    return 100_000 * opening + 100_000 * closing


@st.composite
def voxel_tensors(draw, dimensions: int) -> dict[str, torch.Tensor]:
    """Draw the tensors of a map file; now and then one has impossible values, or another shape."""
    count = draw(st.integers(0, 5))
    draws = np.random.default_rng(draw(st.integers(0, 1000)))
    tensors = {
        'cells': torch.from_numpy(draws.integers(-3, 4, (count, 3)).astype(np.int32)),
        'weights': torch.from_numpy(draws.uniform(0.5, 40, count).astype(np.float32)),
        'colors': torch.from_numpy(draws.integers(0, 256, (count, 3), np.uint8)),
        'seen_s': torch.from_numpy(draws.uniform(0, 2e9, count)),
        'vectors': torch.from_numpy(_units(draws.normal(size=(count, dimensions)))),
    }
    name = draw(st.sampled_from([*tensors, 'nothing', 'nothing', 'nothing']))
    if name in tensors and tensors[name].numel():
        kind = tensors[name].dtype
        odd = [-1.0, 0.0, 6e4, float('nan'), float('inf')]
        if not kind.is_floating_point:
            odd = [torch.iinfo(kind).min, torch.iinfo(kind).max]
        tensors[name].view(-1)[draw(st.integers(0, tensors[name].numel() - 1))] = draw(st.sampled_from(odd))
    if draw(st.integers(0, 7)) == 4:
        other = draw(st.sampled_from([*tensors]))
        tensors[other] = draw(st.sampled_from([tensors[other][:-1], tensors[other].float(), torch.zeros(2, 2, 2)]))
    return tensors


def _units(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
