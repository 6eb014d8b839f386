# SPDX-License-Identifier: Apache-2.0
"""The interface of a backend, and the plainest one."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from lseg_ros.model.lseg import LSeg


class Backend(Protocol):
    """Runs the image side of a network and correlates its embeddings with text."""

    name: str

    def project(self, text: Tensor) -> Tensor:
        """Return rows of `LSeg.encode_text`, [K, D], as rows [K, E] for `correlate`."""

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """Return logits [B, K, h, w] of uint8 RGB images [B, H, W, 3] and rows of `project`.

        They are those of `LSeg.correlate`, in any floating-point type and memory layout. The images
        are on the network's device and are padded at the bottom and right to multiples of its
        stride; h x w is the decoder's grid over the padded image. The next call may overwrite the
        result.
        """

    def encode(self, images: Tensor) -> Tensor:
        """Return unit embeddings, float32 [B, E, h, w], of images as in `correlate`.

        Their inner products with rows of `project` are those of `embed` with the text. The next
        call may overwrite the result.
        """

    def embed(self, images: Tensor) -> Tensor:
        """Return unit embeddings, float32 [B, D, h, w], of images as in `correlate`.

        They are those of `LSeg.encode_image`. The next call may overwrite the result.
        """


class EagerBackend:
    """The network as written, one operation at a time: the reference for the others."""

    name = 'eager'

    def __init__(self, model: LSeg) -> None:
        """Run `model` itself."""
        self._model = model

    def project(self, text: Tensor) -> Tensor:
        """See Backend; here E is D."""
        return text

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend."""
        return self._model.correlate(self.embed(images), text)

    def encode(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self.embed(images)

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._model.encode_image(normalise(images, self._model))


def normalise(images: Tensor, model: LSeg) -> Tensor:
    """Return uint8 images [B, H, W, 3] as pixels of `model`, padded with its mean colour."""
    return pad(model.normalise(images), model.stride).to(model.dtype)


def pad(pixels: Tensor, stride: int) -> Tensor:
    """Pad [B, C, H, W] with zeros at the bottom and right to multiples of `stride`."""
    height, width = pixels.shape[2:]
    return F.pad(pixels, (0, -width % stride, 0, -height % stride))
