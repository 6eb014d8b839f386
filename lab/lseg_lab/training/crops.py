# SPDX-License-Identifier: Apache-2.0
"""Random crops of labelled images that share one label set, as LSeg's authors make them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from lseg_lab.training.dataset import LabelledFolder
from lseg_ros.labels.ids import UNLABELLED


@dataclass(frozen=True)
class LabelledImage:
    """A training image [H, W, 3], its mask uint8 [H, W] and the labels to ask for.

    Mask values index `labels`; 255 means not labelled.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: tuple[str, ...]


class CropStream:
    """Numbered random crops: sample n depends only on the seed and n.

    Every image occurs once per epoch, in an order that differs between epochs.
    """

    def __init__(
        self, folder: LabelledFolder, base: int = 520, crop: tuple[int, int] = (480, 480), seed: int = 0
    ) -> None:
        """Crop the images of `folder`; see random_crop for `base` and `crop`."""
        self.folder, self.base, self.crop, self.seed = folder, base, crop, seed
        self._order = Shuffle(len(folder.pairs), seed)

    def __len__(self) -> int:
        """Return the number of images in an epoch."""
        return len(self.folder.pairs)

    def __getitem__(self, number: int) -> tuple[LabelledImage]:
        """Return sample `number`, counted from 0 without end: one image."""
        rng = np.random.default_rng((self.seed, number))
        image, mask = self.folder.read(self._order(number))
        image, mask = random_crop(image, mask, self.base, self.crop, rng)
        return (LabelledImage(image, mask, self.folder.classes),)


class Shuffle:
    """Repeated shuffles of `count` items, indexed from 0 without end."""

    def __init__(self, count: int, seed: int) -> None:
        """Shuffle items 0 to count - 1 anew in every round, seeded by seed and round."""
        self._count, self._seed = count, seed
        self._round, self._order = -1, np.empty(0, np.int64)

    def __call__(self, number: int) -> int:
        """Return the item at position `number`."""
        turn, place = divmod(number, self._count)
        if turn != self._round:
            rng = np.random.default_rng((self._seed, turn, self._count))
            self._round, self._order = turn, rng.permutation(self._count)
        return int(self._order[place])


def random_crop(
    image: np.ndarray, mask: np.ndarray, base: int, crop: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Flip, zoom, pad and crop as mode 'train' of PyTorch-Encoding, which LSeg was trained with.

    Args:
        image: uint8 [H, W, 3].
        mask: uint8 [H, W].
        base: the long side is resized to a random length from half of this to twice this.
        crop: height and width of the result; missing parts are black and not labelled.
        rng: source of all random numbers.
    """
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    long = int(rng.integers(base // 2, 2 * base + 1))
    height, width = (int(side * long / max(mask.shape) + 0.5) for side in mask.shape)
    size = (max(1, width), max(1, height))
    # Pillow's bilinear filter averages when it downscales.
    image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    mask = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    missing = [(0, max(0, wanted - side)) for wanted, side in zip(crop, mask.shape)]
    image = np.pad(image, (*missing, (0, 0)))
    mask = np.pad(mask, missing, constant_values=UNLABELLED)
    top, left = (int(rng.integers(side - c + 1)) for c, side in zip(crop, mask.shape))
    window = np.s_[top : top + crop[0], left : left + crop[1]]
    return image[window], mask[window]
