# SPDX-License-Identifier: Apache-2.0
"""What a backend does, and the plainest one."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from lseg_ros.model.lseg import LSeg


class Backend(Protocol):
    """Runs the image side of a network and correlates what comes out of it with text."""

    name: str

    def project(self, text: Tensor) -> Tensor:
        """Return text [K, D], as `LSeg.encode_text` gives it, as rows [K, E] for `correlate`."""

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """Return logits [B, K, h, w] of uint8 RGB images [B, H, W, 3] and rows of `project`.

        They are those of `LSeg.correlate`, in any floating-point type and any order in memory.
        The images are on the network's device, and are padded at the bottom and the right to
        multiples of the network's stride: h x w is the decoder's grid of the padded image.
        The result may be overwritten by the next call.
        """

    def embed(self, images: Tensor) -> Tensor:
        """Return unit embeddings, float32 [B, D, h, w], of images as `correlate` takes them.

        They are those of `LSeg.encode_image`. The result may be overwritten by the next call.
        """


class EagerBackend:
    """The network as it is written, one operation after the other: what the others must equal."""

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

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._model.encode_image(normalise(images, self._model))


def normalise(images: Tensor, model: LSeg) -> Tensor:
    """Return uint8 images [B, H, W, 3] as pixels of `model`, padded with its mean colour."""
    return pad(model.normalise(images), model.stride).to(model.dtype)


def pad(pixels: Tensor, stride: int) -> Tensor:
    """Pad [B, C, H, W] with zeros at the bottom and the right to multiples of `stride`."""
    height, width = pixels.shape[2:]
    return F.pad(pixels, (0, -width % stride, 0, -height % stride))
