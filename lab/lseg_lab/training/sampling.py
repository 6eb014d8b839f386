# SPDX-License-Identifier: Apache-2.0
"""Choose the image of each training sample: a mixture of data, and rare classes more often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PRESENT_SHARE = 0.01  # of the image's pixels: the least share at which a class counts as shown
_FULL_WEIGHT = 20  # images: a class shown by fewer is drawn less often, so that none is worn out


@dataclass(frozen=True)
class Part:
    """Images that make up a fixed share of the samples.

    Attributes:
        images: their indices in the folder.
        share: of the samples.
        exact: whether a label excludes narrower ones, as in renderings; people who label
            photographs may call a wardrobe a cabinet.
    """

    images: np.ndarray
    share: float
    exact: bool = True


class ImageSampler:
    """Draws images from each part, by image and by class."""

    def __init__(
        self,
        shares: np.ndarray,
        parts: Sequence[Part] | None = None,
        *,
        balance: float = 0.6,
        ignored: Sequence[int] = (),
    ) -> None:
        """Prepare the draw.

        Args:
            shares: `class_shares` of all images, [images, classes].
            parts: one or two of them, whose shares add up to 1; by default, one with all images.
            balance: share of samples drawn by class, with rare classes as likely as common ones;
                the rest are drawn by image.
            ignored: indices of classes that are not drawn for.
        """
        self._parts = parts or (Part(np.arange(len(shares)), 1.0),)
        self._balance, self._shares = balance, shares
        drawn = [c for c in range(shares.shape[1]) if c not in ignored]
        self._by_class = [_images_by_class(shares[:, drawn], part) for part in self._parts]

    def draw(self, number: int, rng: np.random.Generator) -> tuple[int, Part]:
        """Return the index of the image for sample `number`, and the part it comes from.

        The number decides about the part, so that every batch contains its share of each.
        """
        last = self._parts[-1].share
        chosen = -1 if int((number + 1) * last) > int(number * last) else 0
        part, by_class = self._parts[chosen], self._by_class[chosen]
        images = part.images
        if by_class and rng.random() < self._balance:
            weights = np.array([min(1.0, len(shown) / _FULL_WEIGHT) for shown in by_class])
            images = by_class[rng.choice(len(by_class), p=weights / weights.sum())]
        return int(rng.choice(images)), part

    def mean_shares(self) -> np.ndarray:
        """Return each class's mean share of a sample's pixels if drawn by image, [classes]."""
        means = [part.share * self._shares[part.images].mean(0) for part in self._parts]
        total: np.ndarray = np.sum(means, axis=0)
        return total


def _images_by_class(shares: np.ndarray, part: Part) -> list[np.ndarray]:
    """Return the images of a part that show each class, without classes that none shows."""
    shown = shares[part.images] > PRESENT_SHARE
    return [part.images[column] for column in shown.T if column.any()]
