# SPDX-License-Identifier: Apache-2.0
"""Zero-shot training episodes: two images of one class, "others" against its name.

Folds as in HSNet (Min et al., ICCV 2021): a fold is tested on classes that it never trains on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from lseg_lab.evaluation.episodes import (
    COCO_SOURCE,
    FOLDS,
    FSS_SOURCE,
    PASCAL_SOURCE,
    SPLITS_SOURCE,
    Benchmark,
    Episode,
    checked_benchmark,
    existing,
    read_coco_split,
    read_pascal_entry,
)
from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.evaluation.pictures import read_mask, read_picture
from lseg_lab.evaluation.zero_shot import BACKGROUND, SIDE
from lseg_lab.training.crops import LabelledImage, Shuffle


class EpisodeStream:
    """Numbered episodes: a query image and a support image as another sample of its class.

    By default every image of every class is the query once per epoch, in an order that differs
    between epochs; with `by_class` the class is drawn first, uniformly, and then one of its images.
    Images are resized to `size` without keeping their aspect ratio. No pixel is ignored: other
    classes and unlabelled pixels are "others". Episode n depends only on the seed and n.
    """

    def __init__(
        self, source: Benchmark, size: tuple[int, int] = (SIDE, SIDE), seed: int = 0, by_class: bool = False
    ) -> None:
        """Use all images of `source`, resized to `size` (height, width).

        Raise ValueError if there are none.
        """
        if not source.episodes:
            raise ValueError('the lists of the training folds are empty')
        self.source, self.size, self.seed, self.by_class = source, size, seed, by_class
        self._order = Shuffle(len(source.episodes), seed)
        self._by_label: dict[int, list[Episode]] = {}
        for episode in source.episodes:
            self._by_label.setdefault(episode.label, []).append(episode)

    def __len__(self) -> int:
        """Return the episodes per epoch: the number of images."""
        episodes = self.source.episodes
        return len({e.image for e in episodes}) if self.by_class else len(episodes)

    def __getitem__(self, number: int) -> tuple[LabelledImage, LabelledImage]:
        """Return episode `number`, counted from 0 without end: query and support."""
        rng = np.random.default_rng((self.seed, number))
        query = self._draw(rng) if self.by_class else self.source.episodes[self._order(number)]
        support = self._support(query, rng)
        return self._read(query), self._read(support)

    def _draw(self, rng: np.random.Generator) -> Episode:
        """Draw a class uniformly, then one of its images."""
        images = self._by_label[list(self._by_label)[rng.integers(len(self._by_label))]]
        return images[rng.integers(len(images))]

    def _read(self, episode: Episode) -> LabelledImage:
        picture = read_picture(episode.image)
        image = picture.resize(self.size[::-1], Image.Resampling.BILINEAR)
        truth = torch.from_numpy(self.source.read_truth(episode) == 1)[None, None].float()
        mask = F.interpolate(truth, self.size, mode='nearest')[0, 0].byte().numpy()
        return LabelledImage(np.array(image), mask, (BACKGROUND, self.source.names[episode.label]))

    def _support(self, query: Episode, rng: np.random.Generator) -> Episode:
        """Return another image of the class, or the query itself if there is none."""
        others = [e for e in self._by_label[query.label] if e.image != query.image]
        return others[rng.integers(len(others))] if others else query


def open_pascal5i_training(root: str | Path, fold: int) -> Benchmark:
    """Return the training images of PASCAL-5i's other folds: 15 classes.

    Raise FileNotFoundError, naming the file and its source, or ValueError for a damaged list.
    """
    folder, lists = Path(root) / 'VOC2012', Path(root) / 'splits' / 'pascal' / 'trn'
    episodes = []
    for other in (f for f in FOLDS if f != fold):
        path = existing(lists / f'fold{other}.txt', SPLITS_SOURCE)
        for line in path.read_text().split():
            name, label = read_pascal_entry(line, range(5 * other, 5 * other + 5), path)
            mask = folder / 'SegmentationClassAug' / f'{name}.png'
            episodes.append(Episode(folder / 'JPEGImages' / f'{name}.jpg', mask, label))
    return checked_benchmark(benchmark_names('pascal'), episodes, _read_index, PASCAL_SOURCE)


def open_coco20i_training(root: str | Path, fold: int) -> Benchmark:
    """Return the training images of COCO-20i's other folds: 60 classes.

    Raise FileNotFoundError, naming the file and its source, or ValueError for a damaged list.
    """
    folder = Path(root) / 'COCO2014'
    path = existing(Path(root) / 'splits' / 'coco' / 'trn' / f'fold{fold}.pkl', SPLITS_SOURCE)
    classes = [label for label in range(80) if label % 4 != fold]
    images = read_coco_split(path, classes)
    episodes = [
        Episode(folder / name, (folder / 'annotations' / name).with_suffix('.png'), label)
        for label in classes
        for name in images[label]
    ]
    return checked_benchmark(benchmark_names('coco'), episodes, _read_index, COCO_SOURCE)


def open_fss1000_training(root: str | Path) -> Benchmark:
    """Return the images of the 520 training categories of FSS-1000.

    Raise FileNotFoundError, naming the file and its source.
    """
    folder = Path(root) / 'FSS-1000'
    path = existing(Path(root) / 'splits' / 'fss' / 'trn.txt', SPLITS_SOURCE)
    names = sorted(path.read_text(encoding='utf-8').split())
    episodes = [
        Episode(image, image.with_suffix('.png'), label)
        for label, name in enumerate(names)
        for image in sorted(existing(folder / name, FSS_SOURCE).glob('*.jpg'))
    ]
    return checked_benchmark(names, episodes, _read_white, FSS_SOURCE)


def _read_index(episode: Episode) -> np.ndarray:
    return (read_mask(episode.mask) == episode.label + 1).astype(np.uint8)


def _read_white(episode: Episode) -> np.ndarray:
    return (read_mask(episode.mask, gray=True) >= 128).astype(np.uint8)
