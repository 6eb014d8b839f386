# SPDX-License-Identifier: Apache-2.0
"""Compares an exported network with the one it was made from, by ONNX Runtime on the CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.backends.base import EagerBackend
from lseg_ros.backends.onnx_network import INPUTS, ImageSize
from lseg_ros.model.lseg import LSeg

PROMPTS = ('floor', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'person', 'other')
_COARSE = (6, 8)  # rows and columns of the picture before it is enlarged


@dataclass(frozen=True)
class Agreement:
    """How far an exported network is from the original: in logits, and in the best label."""

    difference: float  # the largest of all logits; infinite if one is no finite number
    other_ids: float  # share of the cells


def compare(path: Path, model: LSeg, size: ImageSize) -> Agreement:
    """Compare the file at `path`, for images of `size`, with `model` as written, in its dtype.

    Both segment one picture, by `PROMPTS` and by the first of them alone.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    images, rows, plain = _picture(size), model.encode_text(PROMPTS), EagerBackend(model)
    difference = other_ids = 0.0
    for text in (rows, rows[:1]):
        given = (images.numpy(), text.float().numpy())
        exported = torch.from_numpy(session.run(None, dict(zip(INPUTS, given)))[0])
        with torch.inference_mode():
            expected = plain.correlate(images, text).float()
        apart = (exported - expected).abs().max().item()
        difference = max(difference, apart if math.isfinite(apart) else math.inf)
        other_ids = max(other_ids, (exported.argmax(1) != expected.argmax(1)).float().mean().item())
    return Agreement(difference, other_ids)


def _picture(size: ImageSize) -> Tensor:
    """Return uint8 [1, H, W, 3]: random patches of colour with soft borders and some noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, *_COARSE, generator=generator)
    noise = torch.rand(1, 3, *size, generator=generator)
    picture = 0.9 * F.interpolate(coarse, size, mode='bilinear') + 0.1 * noise
    return (255 * picture).byte().permute(0, 2, 3, 1).contiguous()
