# SPDX-License-Identifier: Apache-2.0
"""Folders of images with index masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lseg_lab.opencv_files import read_opencv
from lseg_ros.labels.files import read_label_file
from lseg_ros.media.inputs import IMAGE_SUFFIXES

DEFAULT_MASKS = '{stem}_mask.png'


@dataclass(frozen=True)
class Example:
    """An image, uint8 RGB [H, W, 3], and its mask of label indices, uint8 [H, W], 255 for none."""

    name: str
    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class MaskedFolder:
    """The images of a folder that have a mask; iterating reads them in turn."""

    pairs: tuple[tuple[Path, Path], ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pairs)

    def __iter__(self) -> Iterator[Example]:
        """Read the images; raise OSError, naming the file, if one is unusable."""
        for image, mask in self.pairs:
            yield read_example(image, mask)


def open_folder(root: str | Path, masks: str = DEFAULT_MASKS) -> MaskedFolder:
    """Find the images under `root` that have a mask.

    `masks` is the path of a mask relative to `root`; {stem} stands for the image's name without its
    suffix. Raise FileNotFoundError if there are none, ValueError if `masks` has other braces.
    """
    root = Path(root)
    images = sorted(p for p in root.glob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    try:
        pairs = tuple((p, root / masks.format(stem=p.stem)) for p in images)
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        raise ValueError(f'the names of masks, {masks}, may only have {{stem}} in braces') from error
    pairs = tuple((image, mask) for image, mask in pairs if mask.is_file() and mask != image)
    if not pairs:
        raise FileNotFoundError(f'no image in {root} has a mask named {masks}')
    return MaskedFolder(pairs)


def read_example(image: Path, mask: Path) -> Example:
    """Read one image and its mask; raise OSError if one is unreadable or the sizes differ."""
    pixels = read_opencv(image)
    values = read_opencv(mask, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OSError(f'{image}: not readable as an image')
    if values is None or values.dtype != np.uint8 or values.ndim != 2:
        raise OSError(f'{mask}: not an 8-bit one-channel mask of label indices')
    if values.shape != pixels.shape[:2]:
        raise OSError(f'{mask}: is {values.shape}, its image {pixels.shape[:2]}')
    return Example(image.stem, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), values)


def read_names(path: str | Path) -> list[str]:
    """Return the labels of a names file: `name` or `name=prompt|prompt`, one per line.

    They are in the order of the mask indices. Empty lines and lines starting with # are skipped.
    Raise ValueError if no label is left.
    """
    lines = (line.strip() for line in Path(path).read_text(encoding='utf-8').splitlines())
    names = [line for line in lines if line and not line.startswith('#')]
    if not names:
        raise ValueError(f'{path} contains no labels; write one per line, in the order of the mask indices')
    return names


def read_labels(path: str | Path) -> list[str]:
    """Return the labels of a names file, or of a label file of the node (.yaml)."""
    return list(read_label_file(path).labels) if Path(path).suffix == '.yaml' else read_names(path)
