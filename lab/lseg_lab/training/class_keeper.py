# SPDX-License-Identifier: Apache-2.0
"""Keeps the ImageNet classes of an image encoder that is tuned."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.training.initial_weights import imagenet_weights, load_imagenet
from lseg_ros.model import LSeg


class ClassKeeper:
    """Compares a tuned encoder with its ImageNet weights, by the classifier that belongs to them.

    This is learning without forgetting (Li and Hoiem, ECCV 2016), for each cell of the last map.
    The class prior reads that map, so the words it knows stay known.
    """

    def __init__(self, model: LSeg, dtype: torch.dtype) -> None:
        """Copy the encoder of `model` with its ImageNet weights, to compute in `dtype`.

        Raise ModuleNotFoundError if the weights' package is missing.
        """
        name = model.config.encoder
        weights = imagenet_weights(name)
        encoder = copy.deepcopy(model.image_encoder).requires_grad_(False)
        load_imagenet(encoder, name)
        self._encoder = encoder.to(model.device, dtype).eval()
        self._weight = weights['classifier.weight'][:, :, None, None].to(model.device)
        self._bias = weights['classifier.bias'].to(model.device)

    def loss(self, pixels: Tensor, head: Tensor) -> Tensor:
        """Return the mean divergence, in nats, of a cell's class probabilities from what they were.

        Args:
            pixels: normalised images [B, 3, H, W].
            head: the last map [B, C, h, w] of the tuned encoder for them.
        """
        with torch.autocast(pixels.device.type, enabled=False):  # bfloat16 is too coarse for logarithms
            with torch.no_grad():
                kept = self._encoder(pixels.to(next(self._encoder.parameters()).dtype))[-1]
                target = self._log_probabilities(kept)
            now = self._log_probabilities(head)
        return F.kl_div(now, target, log_target=True, reduction='none').sum(1).mean()

    def _log_probabilities(self, head: Tensor) -> Tensor:
        return F.conv2d(head.float(), self._weight, self._bias).log_softmax(1)
