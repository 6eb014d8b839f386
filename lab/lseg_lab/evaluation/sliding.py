# SPDX-License-Identifier: Apache-2.0
"""Sliding windows at one scale, as TIPSv2 and Talk2DINO are evaluated.

Sources: Cao et al., 2026 (arXiv 2604.12012) with the authors' notebook for ADE20K; Barsellotti et
al., 2025 (arXiv 2411.19331) with the authors' configurations for MMSegmentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.evaluation.windows import Window, sliding_windows
from lseg_ros.core.geometry import Size
from lseg_ros.model.lseg import LSeg

TALK2DINO_LONG_SIDE = 2048


@dataclass(frozen=True)
class SlidingSettings:
    """How a method resizes images, moves its windows, and turns cosines into scores."""

    stride: int  # between windows, in pixels
    resize: Callable[[np.ndarray, int], np.ndarray]  # of uint8 RGB images [H, W, 3] to a short side
    score: Callable[[Tensor, Size], Tensor]  # of cosines [B, K, h, w], at the given size in pixels
    crop: int = 448  # the sides of a window, and the short side of images, in pixels


class SlidingEvaluator:
    """Computes scores by averaging those of overlapping square windows.

    A window of an image that is too narrow for a whole one is stretched to that size.
    """

    def __init__(self, model: LSeg, settings: SlidingSettings, *, batch: int = 1) -> None:
        """Use `model`, on its device and in its dtype; `batch` windows go through it together.

        Raise ValueError if the network does not accept such windows.
        """
        if settings.crop % model.stride:
            raise ValueError(
                f'windows of {settings.crop} pixels are no multiple of {model.stride}, which {model.name} needs'
            )
        self.model, self.settings, self.batch = model, settings, batch

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, text: Tensor) -> Tensor:
        """Return the scores, float32 [K, H, W], of an image, uint8 RGB [H, W, 3].

        `text` is [K, D], as from `LSeg.encode_text`. The scores are on the network's device.
        """
        pixels = self.model.normalise(torch.from_numpy(self.settings.resize(image, self.settings.crop))[None])[0]
        height, width = pixels.shape[-2:]
        total = torch.zeros(len(text), height, width, device=pixels.device)
        count = torch.zeros(height, width, device=pixels.device)
        windows = sliding_windows(height, width, self.settings.crop, self.settings.stride)
        for start in range(0, len(windows), self.batch):
            some = windows[start : start + self.batch]
            for window, scores in zip(some, self._scores(some, pixels, text)):
                window.of(total).add_(scores)
                window.of(count).add_(1)
        return _bilinear((total / count)[None], image.shape[:2])[0]

    def _scores(self, windows: list[Window], pixels: Tensor, text: Tensor) -> Tensor:
        """Return the scores [B, K, h, w] of windows, which all have one size."""
        crops = torch.stack([window.of(pixels) for window in windows])
        size = (crops.shape[2], crops.shape[3])
        square = (self.settings.crop, self.settings.crop)
        if size != square:
            crops = F.interpolate(crops, square, mode='bilinear', antialias=True)
        embeddings = self.model.encode_image(crops.to(self.model.dtype))
        cosine = self.model.correlate(embeddings, text).float() * self.model.config.temperature
        return self.settings.score(cosine, size)


def resize_like_tips(image: np.ndarray, short_side: int) -> np.ndarray:
    """Resize to a short side by Pillow's bicubic filter; the long one is truncated."""
    height, width = image.shape[:2]
    short = min(height, width)
    if short == short_side:
        return image
    size = tuple(short_side * side // short for side in (width, height))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def resize_like_talk2dino(image: np.ndarray, short_side: int) -> np.ndarray:
    """Resize to a short side or to a long side of 2048 pixels, whichever is smaller.

    This is OpenCV's bilinear resize, which has no antialiasing.
    """
    height, width = image.shape[:2]
    scale = min(short_side / min(height, width), TALK2DINO_LONG_SIDE / max(height, width))
    return cv2.resize(image, (int(width * scale + 0.5), int(height * scale + 0.5)), interpolation=cv2.INTER_LINEAR)


def softmax_of_cosines(cosine: Tensor, size: Size) -> Tensor:
    """Return the softmax over the classes, at temperature 1, of cosines enlarged to `size`."""
    return _bilinear(cosine, size).softmax(1)


def sigmoid_of_cosines(cosine: Tensor, size: Size) -> Tensor:
    """Return the sigmoid of cosines, enlarged to `size` with aligned corners."""
    return F.interpolate(cosine.sigmoid(), size, mode='bilinear', align_corners=True)


def _bilinear(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(maps, size, mode='bilinear', align_corners=False)


TIPS = SlidingSettings(336, resize_like_tips, softmax_of_cosines)
TALK2DINO = SlidingSettings(224, resize_like_talk2dino, sigmoid_of_cosines)
