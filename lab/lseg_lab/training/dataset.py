# SPDX-License-Identifier: Apache-2.0
"""Labelled image folders as an endless stream of training samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lseg_lab.opencv_files import read_opencv
from lseg_lab.training import augment
from lseg_lab.training.questions import Question, QuestionSampler
from lseg_lab.training.sampling import PRESENT_SHARE, ImageSampler
from lseg_ros.labels.ids import UNLABELLED

SHORT_SIDE = 288  # pixels, at a zoom of 1, of larger images: that of rendered rooms


@dataclass(frozen=True)
class LabelledFolder:
    """Image and mask files that share one list of classes.

    Attributes:
        classes: class names; mask value c means classes[c], 255 means not labelled.
        pairs: (image path, mask path, palette index), sorted; `palettes[index]` is uint8 [256]
            and maps the file's mask values to this list's classes.
    """

    classes: tuple[str, ...]
    pairs: tuple[tuple[Path, Path, int], ...]
    palettes: np.ndarray

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image uint8 RGB [H, W, 3] and mask uint8 [H, W]; raise OSError if unreadable."""
        image, mask, palette = self.pairs[index]
        pixels, values = read_opencv(image), read_mask(mask)
        if pixels is None:
            raise OSError(f'{image}: not readable as an image')
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), cv2.LUT(values, self.palettes[palette])


def read_mask(path: Path) -> np.ndarray:
    """Return a mask file as uint8 [H, W]; raise OSError unless it is 8-bit, one channel."""
    mask = read_opencv(path, cv2.IMREAD_UNCHANGED)
    if mask is None or mask.dtype != np.uint8 or mask.ndim != 2:
        raise OSError(f'{path}: not an 8-bit image of class indices')
    return mask


def open_folders(roots: Sequence[str | Path]) -> LabelledFolder:
    """Join folders of dataset.json, <id>.jpg and <id>.mask.png.

    `lseg rooms` and `lseg annotate masks` write them.

    Their class lists may differ; the joint list contains every name once. Raise FileNotFoundError
    if a folder has no dataset.json or no labelled image.
    """
    classes: list[str] = []
    pairs, palettes = [], []
    for index, root in enumerate(Path(r) for r in roots):
        description = root / 'dataset.json'
        if not description.is_file():
            raise FileNotFoundError(
                f'{description} not found: {root} must be written by `lseg rooms` or `lseg annotate masks`'
            )
        names = json.loads(description.read_text(encoding='utf-8'))['classes']
        classes += [name for name in names if name not in classes]
        palette = np.full(256, UNLABELLED, np.uint8)
        palette[: len(names)] = [classes.index(name) for name in names]
        palettes.append(palette)
        masks = sorted(root.glob('*.mask.png'))
        found = [(m.with_name(m.name.replace('.mask.png', '.jpg')), m, index) for m in masks]
        if not found:
            raise FileNotFoundError(f'{root} contains no pair <id>.jpg and <id>.mask.png')
        pairs += [pair for pair in found if pair[0].is_file()]
    return LabelledFolder(tuple(classes), tuple(pairs), np.stack(palettes))


def class_shares(folder: LabelledFolder, workers: int = 2) -> np.ndarray:
    """Return each class' share of each image's pixels, float32 [images, classes]."""

    def share(index: int) -> np.ndarray:
        _, path, palette = folder.pairs[index]
        mask = cv2.LUT(read_mask(path)[::4, ::4], folder.palettes[palette])
        count = np.bincount(mask.ravel(), minlength=256)[: len(folder.classes)]
        return (count / mask.size).astype(np.float32)

    with ThreadPoolExecutor(workers) as pool:
        indices = range(len(folder.pairs))
        shares = tqdm(pool.map(share, indices), 'reading masks', len(indices), unit='image')
        return np.stack(list(shares))


@dataclass(frozen=True)
class Sample:
    """An augmented image uint8 [H, W, 3], its mask uint8 [H, W], and its question."""

    image: np.ndarray
    mask: np.ndarray
    question: Question


class SampleStream:
    """Numbered training samples: sample n depends only on the seed and n.

    An interrupted training therefore resumes exactly, with any number of loading processes.
    """

    def __init__(
        self,
        folder: LabelledFolder,
        questions: QuestionSampler,
        sampler: ImageSampler,
        *,
        crop: tuple[int, int],
        zoom: tuple[float, float] = (0.65, 1.4),
        recolour: float = 0.35,
        seed: int = 0,
    ) -> None:
        """Prepare the stream.

        Args:
            folder: the images.
            questions: draws the label set of each sample.
            sampler: draws the image of each sample.
            crop: height and width of the samples.
            zoom: range of the random zoom; at 1, an image's short side is at most SHORT_SIDE.
            recolour: share of samples with recoloured regions.
            seed: of all random numbers.
        """
        self.folder, self.questions, self.sampler, self.seed = folder, questions, sampler, seed
        self.crop, self.zoom, self.recolour = crop, zoom, recolour

    def __getitem__(self, number: int) -> Sample:
        """Return sample `number`, counted from 0 without end."""
        rng = np.random.default_rng((self.seed, number))
        index, part = self.sampler.draw(number, rng)
        image, mask = _reduced(*self.folder.read(index), round(SHORT_SIDE * self.zoom[1]))
        scale = min(1.0, SHORT_SIDE / min(mask.shape))
        zoom = (self.zoom[0] * scale, self.zoom[1] * scale)
        image, mask = augment.geometric(image, mask, self.crop, zoom, rng)
        if rng.random() < self.recolour:
            image = augment.recolour_regions(image, mask, rng)
        image = augment.photometric(image, rng)
        count = np.bincount(mask.ravel(), minlength=256)[: len(self.folder.classes)]
        present = np.flatnonzero(count > 0.1 * PRESENT_SHARE * mask.size)
        question = self.questions.sample(present.tolist(), rng, exact=part.exact)
        return Sample(image, mask, question)


def _reduced(image: np.ndarray, mask: np.ndarray, short: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduce an image and its mask to a short side of at most `short` pixels."""
    scale = short / min(mask.shape)
    if scale >= 1:
        return image, mask
    size = round(mask.shape[1] * scale), round(mask.shape[0] * scale)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
