# SPDX-License-Identifier: Apache-2.0
"""CLIPSeg, a network that users would otherwise run, by its usual code in transformers.

Lüddecke and Ecker, *Image Segmentation Using Text and Image Prompts* (CVPR 2022, arXiv 2112.10003).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from lseg_ros.model.clip import CLIP_TEXT, ClipText

_SIDE = 352  # pixels that images are resized to
_FIT = {'interpolate_pos_encoding': True}  # made for 224 pixels


class ClipSeg:
    """The published size, rd64-refined, with random weights, on which its speed does not depend."""

    def __init__(self, device: torch.device) -> None:
        """Build the network on `device`."""
        config = CLIPSegConfig(vision_config={'patch_size': 16}, use_complex_transposed_convolution=True)
        self._network = CLIPSegForImageSegmentation(config).eval().requires_grad_(False).to(device)
        self._tokenize = ClipText(CLIP_TEXT['clip-vit-b-16']).tokenize
        self._device = device

    @torch.inference_mode()
    def ids(self, image: np.ndarray, prompts: Sequence[str]) -> np.ndarray:
        """Return the index of the best prompt for each pixel of a uint8 RGB image [H, W, 3].

        As its documentation shows, each prompt is a sample of its own, with a copy of the image.
        """
        pixels = self._pixels(image).expand(len(prompts), -1, -1, -1)
        return _best(self._network(**self._texts(prompts), pixel_values=pixels, **_FIT).logits, image)

    @torch.inference_mode()
    def ids_by_encoding_once(self, image: np.ndarray, prompts: Sequence[str]) -> np.ndarray:
        """Return the same as `ids`, by parts of the network: the image is encoded only once."""
        network = self._network
        seen = network.clip.vision_model(self._pixels(image), output_hidden_states=True, **_FIT).hidden_states
        texts = network.get_conditional_embeddings(batch_size=len(prompts), **self._texts(prompts))
        return _best(network.decoder([seen[layer + 1] for layer in network.extract_layers], texts).logits, image)

    def _pixels(self, image: np.ndarray) -> Tensor:
        resized = torch.from_numpy(cv2.resize(image, (_SIDE, _SIDE))).to(self._device)
        return resized.permute(2, 0, 1)[None] / 127.5 - 1

    def _texts(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        tokens = self._tokenize(prompts)
        tokens = tokens[:, : int((tokens > 0).sum(1).max())].to(self._device)
        return {'input_ids': tokens, 'attention_mask': (tokens > 0).long()}


def _best(logits: Tensor, image: np.ndarray) -> np.ndarray:
    best = logits.argmax(0).to(torch.uint8).cpu().numpy()
    return cv2.resize(best, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
