# SPDX-License-Identifier: Apache-2.0
"""The zero-shot benchmarks in the layout of HSNet's data folder: classes, images, masks.

Min et al., Hypercorrelation Squeeze for Few-Shot Segmentation, ICCV 2021. Without a support image,
an episode is one image and one class. The data folder contains VOC2012, COCO2014, FSS-1000 and
splits.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.evaluation.pictures import read_mask
from lseg_ros.labels.ids import UNLABELLED

EPISODES = 1000  # of PASCAL-5i and COCO-20i
FOLDS = (0, 1, 2, 3)
SPLITS_SOURCE = "copy data/splits from HSNet's repository (juhongm999/hsnet) to splits"
PASCAL_SOURCE = 'unpack VOC2012 to VOC2012, with the masks of SegmentationClassAug next to JPEGImages'
COCO_SOURCE = "unpack COCO 2014 to COCO2014, and HSNet's COCO masks to COCO2014/annotations"
FSS_SOURCE = 'unpack FSS-1000 to FSS-1000, one folder per category'


@dataclass(frozen=True)
class Episode:
    """An image, its mask, and the requested class as an index into the benchmark's names."""

    image: Path
    mask: Path
    label: int


@dataclass(frozen=True)
class Benchmark:
    """The class names of one test and its episodes.

    `read_truth(episode)` returns uint8 [H, W]: 1 for the class, 0 elsewhere, 255 not counted.
    """

    names: tuple[str, ...]
    episodes: tuple[Episode, ...]
    read_truth: Callable[[Episode], np.ndarray]


def open_pascal5i(root: str | Path, fold: int) -> Benchmark:
    """Return the 1000 episodes of a PASCAL-5i fold, repeating its list as often as needed.

    Raise FileNotFoundError, naming the file and its source, or ValueError for a damaged list.
    """
    folder = Path(root) / 'VOC2012'
    path = existing(Path(root) / 'splits' / 'pascal' / 'val' / f'fold{fold}.txt', SPLITS_SOURCE)
    classes = range(5 * fold, 5 * fold + 5)
    entries = [read_pascal_entry(line, classes, path) for line in path.read_text().split()]
    if not entries:
        raise ValueError(f'{path} contains no images')
    episodes = [
        Episode(
            folder / 'JPEGImages' / f'{name}.jpg', folder / 'SegmentationClassAug' / f'{name}.png', classes.index(index)
        )
        for name, index in (entries[i % len(entries)] for i in range(EPISODES))
    ]

    def read_truth(episode: Episode) -> np.ndarray:
        mask = read_mask(episode.mask)
        truth = (mask == classes[episode.label] + 1).astype(np.uint8)
        return np.where(mask == UNLABELLED, np.uint8(UNLABELLED), truth)

    names = benchmark_names('pascal')
    return checked_benchmark([names[i] for i in classes], episodes, read_truth, PASCAL_SOURCE)


def open_coco20i(root: str | Path, fold: int) -> Benchmark:
    """Return the 1000 episodes of a COCO-20i fold, drawn with NumPy's seed 0 as in HSNet.

    Raise FileNotFoundError, naming the file and its source, or ValueError for a damaged list.
    """
    folder = Path(root) / 'COCO2014'
    path = existing(Path(root) / 'splits' / 'coco' / 'val' / f'fold{fold}.pkl', SPLITS_SOURCE)
    classes = range(fold, 80, 4)
    images = read_coco_split(path, classes)
    rng = np.random.RandomState(0)  # same numbers as NumPy's global generator
    episodes = []
    for _ in range(EPISODES):
        index = int(rng.choice(classes, 1, replace=False)[0])
        name = str(rng.choice(images[index], 1, replace=False)[0])
        mask = (folder / 'annotations' / name).with_suffix('.png')
        episodes.append(Episode(folder / name, mask, classes.index(index)))

    def read_truth(episode: Episode) -> np.ndarray:
        return (read_mask(episode.mask) == classes[episode.label] + 1).astype(np.uint8)

    names = benchmark_names('coco')
    return checked_benchmark([names[i] for i in classes], episodes, read_truth, COCO_SOURCE)


def open_fss1000(root: str | Path) -> Benchmark:
    """Return all images of FSS-1000's test categories, sorted; masks are white on the class.

    Raise FileNotFoundError, naming the file and its source, or ValueError for a damaged list.
    """
    folder = Path(root) / 'FSS-1000'
    path = existing(Path(root) / 'splits' / 'fss' / 'test.txt', SPLITS_SOURCE)
    names = sorted(path.read_text(encoding='utf-8').split())
    if not names:
        raise ValueError(f'{path} contains no categories')
    episodes = [
        Episode(image, image.with_suffix('.png'), label)
        for label, name in enumerate(names)
        for image in sorted(existing(folder / name, FSS_SOURCE).glob('*.jpg'))
    ]
    if not episodes:
        raise FileNotFoundError(f'no .jpg file in the folders of {folder}: {FSS_SOURCE}')

    def read_truth(episode: Episode) -> np.ndarray:
        return (read_mask(episode.mask, gray=True) >= 128).astype(np.uint8)

    return checked_benchmark(names, episodes, read_truth, FSS_SOURCE)


def read_pascal_entry(line: str, classes: Sequence[int], path: Path) -> tuple[str, int]:
    """Read NAME__CLASS from a PASCAL-5i list; CLASS - 1 must be a class of the fold."""
    name, _, number = line.partition('__')
    if not number.isdecimal() or int(number) - 1 not in classes:
        raise ValueError(
            f'{path}: {line!r} is not NAME__CLASS with a class of this fold, {classes[0] + 1} to {classes[-1] + 1}'
        )
    return name, int(number) - 1


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, dicts, strings and numbers; refuses anything that would run code."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f'it contains {module}.{name} instead of plain lists of names')


def read_coco_split(path: Path, classes: Iterable[int]) -> Mapping[int, list[str]]:
    """Read {class: [image, ...]} without running code; raise ValueError for anything else."""
    try:
        with open(path, 'rb') as file:
            images = _PlainUnpickler(file).load()
    except Exception as error:  # a damaged pickle can raise any exception
        raise ValueError(f'{path} is not a list of COCO images: {error}') from error
    for index in classes:
        names = images.get(index) if isinstance(images, dict) else None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f'{path} lists no images for class {index}')
    return images


def checked_benchmark(
    names: Sequence[str], episodes: Sequence[Episode], read_truth: Callable[[Episode], np.ndarray], source: str
) -> Benchmark:
    """Assemble a benchmark; raise FileNotFoundError, naming `source`, for a missing file."""
    for episode in episodes:
        existing(episode.image, source)
        existing(episode.mask, source)
    return Benchmark(tuple(names), tuple(episodes), read_truth)


def existing(path: Path, source: str) -> Path:
    """Return `path`; raise FileNotFoundError, naming `source`, if it does not exist."""
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing: {source} below --root')
    return path
