# SPDX-License-Identifier: Apache-2.0
"""The authors' test-time protocol: logits summed over scales, mirrored images and windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.evaluation.windows import Window
from lseg_ros.model.lseg import LSeg

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
CITYSCAPES_SCALES = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25)  # with base 2048 and crop 768


class MultiScaleEvaluator:
    """Computes logits by the protocol behind LSeg's published figures, on any device.

    At each scale the image's long side becomes `base * scale` pixels. Windows of `crop` x `crop`
    pixels, two thirds of that apart, cover the image; what lies beyond it is black. The logits of
    each window and of its mirror image are added, overlapping windows are averaged, and the scales
    are added at the image's own size. All resizing is bilinear with aligned corners.

    The protocol is that of PyTorch-Encoding, as used by Li et al., 2022 (arXiv 2201.03546) and
    Ranftl et al., 2021 (arXiv 2103.13413). The defaults are theirs for ADE20K; for Cityscapes use
    base 2048, crop 768 and CITYSCAPES_SCALES. A 480 x 640 image takes 36 passes.
    """

    def __init__(
        self,
        model: LSeg,
        base: int = 520,
        crop: int = 480,
        scales: Sequence[float] = SCALES,
        *,
        batch: int = 1,
        progress: Callable[[Sequence[Window]], Iterable[Window]] = iter,
    ) -> None:
        """Use `model`, on its device and in its dtype.

        `batch` is the number of crops in one pass: 1 in the authors' code, more where that is
        faster; the results agree up to rounding. `progress` takes the windows of an image and
        returns an iterable of them, e.g. tqdm. Raise ValueError for unusable settings.
        """
        if base < 1 or crop < 1 or batch < 1:
            raise ValueError(f'base, crop and batch must be positive, not {base}, {crop}, {batch}')
        if not scales or min(scales) <= 0:
            raise ValueError(f'scales must be positive numbers, at least one, not {list(scales)}')
        if crop % model.stride:
            below = crop // model.stride * model.stride
            nearest = ' or '.join(str(c) for c in (below, below + model.stride) if c)
            raise ValueError(f'crop must be a multiple of {model.stride} for this network, not {crop}: use {nearest}')
        self.model = model
        self.base, self.crop, self.scales = base, crop, tuple(scales)
        self.batch, self.progress = batch, progress

    @property
    def passes(self) -> int:
        """How many logits are added up at each pixel; divide by it for their mean."""
        return 2 * len(self.scales)

    def windows(self, height: int, width: int) -> list[Window]:
        """Return the windows of an image of this size, scale by scale; each takes two passes."""
        return [window for scale in self.scales for window in self._windows_at(self._size_at(scale, height, width))]

    @torch.inference_mode()
    def __call__(self, image: np.ndarray | Tensor, text: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return the summed logits, float32 [K, H, W], on the network's device.

        `image` is uint8 RGB [H, W, 3], or a normalised float tensor [3, H, W]; `text` is [K, D],
        as from `LSeg.encode_text`. `size` (height, width) replaces the image's own. Raise
        ValueError for any other image.
        """
        pixels = self._pixels(image)
        height, width = pixels.shape[-2:]
        size = size or (height, width)
        total = torch.zeros(len(text), *size, device=pixels.device)
        windows = iter(self.progress(self.windows(height, width)))
        for scale in self.scales:
            total += _resize(self._logits_at(scale, pixels, text, windows), size)
        next(windows, None)  # lets a progress bar finish
        return total

    def _logits_at(self, scale: float, pixels: Tensor, text: Tensor, windows: Iterator[Window]) -> Tensor:
        """Return the logits [K, h, w] at one scale, taking its windows from `windows`."""
        height, width = self._size_at(scale, *pixels.shape[-2:])
        scaled = self._pad(_resize(pixels, (height, width)))
        logits = torch.zeros(len(text), *scaled.shape[-2:], device=pixels.device)
        count = torch.zeros(scaled.shape[-2:], device=pixels.device)
        left = len(self._windows_at((height, width)))
        while left:
            some = list(islice(windows, min(left, max(1, self.batch // 2))))
            crops = torch.stack([self._pad(window.of(scaled)) for window in some])
            for window, answer in zip(some, self._both_ways(crops, text)):
                part = window.of(logits)
                part += answer[:, : part.shape[1], : part.shape[2]]
                window.of(count).add_(1)
            left -= len(some)
        return (logits / count)[:, :height, :width]

    def _both_ways(self, crops: Tensor, text: Tensor) -> Tensor:
        """Return the logits of crops [B, 3, crop, crop] plus those of their mirror images."""
        both = torch.cat([crops, crops.flip(-1)]).to(self.model.dtype)
        answers = torch.cat([self.model(some, text).float() for some in both.split(self.batch)])
        straight, mirrored = answers.chunk(2)
        return straight + mirrored.flip(-1)

    def _size_at(self, scale: float, height: int, width: int) -> tuple[int, int]:
        long = math.ceil(self.base * scale)
        if height > width:
            return long, max(1, int(width * long / height + 0.5))
        return max(1, int(height * long / width + 0.5)), long

    def _windows_at(self, image: tuple[int, int]) -> list[Window]:
        """Return the windows over an image of this size, padded to at least one crop.

        The last window of a row or column ends where the padded image ends.
        """
        stride = int(self.crop * 2 / 3)
        height, width = (max(side, self.crop) for side in image)
        tops, lefts = (
            range(0, math.ceil((side - self.crop) / stride) * stride + 1, stride) for side in (height, width)
        )
        return [
            Window(top, left, min(top + self.crop, height), min(left + self.crop, width))
            for top in tops
            for left in lefts
        ]

    def _pixels(self, image: np.ndarray | Tensor) -> Tensor:
        """Return the image normalised, float32 [3, H, W], on the network's device."""
        if isinstance(image, Tensor):
            if image.ndim != 3 or len(image) != 3 or not image.is_floating_point():
                raise ValueError(
                    f'normalised pixels must be floats [3, height, width], not {image.dtype} {list(image.shape)}'
                )
            return image.to(self.model.device, torch.float32)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f'an image must be uint8 [height, width, 3], not {image.dtype} {list(image.shape)}')
        pixels = torch.from_numpy(np.require(image, requirements=('C', 'W')))
        return self.model.normalise(pixels[None])[0]

    def _pad(self, pixels: Tensor) -> Tensor:
        """Pad pixels [3, h, w] smaller than a crop with black, on the right and below."""
        height, width = pixels.shape[-2:]
        if min(height, width) >= self.crop:
            return pixels
        black = -self._of_colours(self.model.mean) / self._of_colours(self.model.std)
        padded = black.repeat(1, max(height, self.crop), max(width, self.crop))
        padded[:, :height, :width] = pixels
        return padded

    def _of_colours(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self.model.device)[:, None, None]


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps[None], size, mode='bilinear', align_corners=True)[0]
