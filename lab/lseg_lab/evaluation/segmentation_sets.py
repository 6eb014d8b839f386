# SPDX-License-Identifier: Apache-2.0
"""The data sets for semantic segmentation on disk: their images, masks and classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.evaluation.pictures import read_mask, read_picture
from lseg_ros.labels.ids import UNLABELLED

BACKGROUND = 'background'
IMPOSSIBLE = 254  # for mask values that a data set does not have
# Ids of COCO, as in COCO-Stuff's masks, that no class has.
COCO_GAPS = frozenset((11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90))
# Cityscapes' ids of its 19 classes, in the order of their train ids, and the number of all ids.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
CITYSCAPES_ALL_IDS = 34

ADE20K_SOURCE = '--root must be the unpacked ADEChallengeData2016 of the scene parsing benchmark'
VOC_SOURCE = '--root must be VOCdevkit, unpacked from VOCtrainval_11-May-2012.tar of host.robots.ox.ac.uk/pascal/VOC'
CONTEXT_SOURCE = (
    '--root must be VOCdevkit with VOC2010, and with the masks and the list of images of PASCAL-Context that '
    'pascal_context.py of mmsegmentation makes of trainval_merged.json'
)
STUFF_SOURCE = (
    '--root must be a folder with val2017.zip of COCO unpacked to images/val2017, and the masks val2017 of '
    'stuffthingmaps_trainval2017.zip (github.com/nightrome/cocostuff) unpacked to annotations/val2017'
)
CITYSCAPES_SOURCE = (
    '--root must be a folder with leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of '
    'cityscapes-dataset.com, both unpacked'
)


@dataclass(frozen=True)
class LabelledImage:
    """The paths of an image and of its mask."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class SegmentationSet:
    """The classes of a data set, and its images.

    `classes`, uint8 [256], maps each mask value to the index of its class, to UNLABELLED if its
    pixels do not count, or to IMPOSSIBLE. The first of `names` may be BACKGROUND.
    """

    names: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    classes: np.ndarray

    def read(self, labelled: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
        """Return the image, uint8 RGB [H, W, 3], and the class of each pixel, uint8 [H, W].

        Raise OSError, naming the file, if one is unreadable, the sizes differ, or the mask has a
        value that is not in the data set.
        """
        image, mask = np.array(read_picture(labelled.image)), read_mask(labelled.mask)
        if mask.shape != image.shape[:2]:
            raise OSError(f'{labelled.mask}: is {mask.shape}, its image {image.shape[:2]}')
        truth: np.ndarray = self.classes[mask]
        wrong = mask[truth == IMPOSSIBLE]
        if wrong.size:
            raise OSError(f'{labelled.mask}: has the value {wrong.max()}, which no class of the data set has')
        return image, truth


def open_ade20k(root: str | Path, split: str = 'validation') -> SegmentationSet:
    """Return ADE20K's 150 classes and the images of a split: 2000 for validation.

    `root` is ADEChallengeData2016 or its parent folder. Raise FileNotFoundError, naming the path
    and its source, if something is missing.
    """
    root = _below(root, 'ADEChallengeData2016')
    images = _listed(root / 'images' / split, '*.jpg', ADE20K_SOURCE)
    masks = (root / 'annotations' / split / f'{image.stem}.png' for image in images)
    classes = _classes({value: value - 1 for value in range(1, 151)}, ignored=(0, UNLABELLED))
    return _segmentation_set(benchmark_names('ade20k'), images, masks, classes, ADE20K_SOURCE)


def open_voc20(root: str | Path) -> SegmentationSet:
    """Return PASCAL VOC 2012 with its 20 classes, without the background; see open_voc21."""
    classes = _classes({value: value - 1 for value in range(1, 21)}, ignored=(0, UNLABELLED))
    return _open_voc(root, benchmark_names('pascal'), classes)


def open_voc21(root: str | Path) -> SegmentationSet:
    """Return PASCAL VOC 2012 with 20 classes and the background: the 1449 images of its val.txt.

    `root` is VOCdevkit, VOC2012 in it, or the parent folder. Raise as open_ade20k does.
    """
    classes = _classes({value: value for value in range(21)}, ignored=(UNLABELLED,))
    return _open_voc(root, (BACKGROUND, *benchmark_names('pascal')), classes)


def open_context59(root: str | Path) -> SegmentationSet:
    """Return PASCAL-Context with its 59 classes, without the background: the images of its val.txt.

    `root` is VOCdevkit, VOC2010 in it, or the parent folder. Raise as open_ade20k does.
    """
    root = _below(root, 'VOCdevkit/VOC2010', 'VOC2010')
    listing = root / 'ImageSets' / 'SegmentationContext' / 'val.txt'
    classes = _classes({value: value - 1 for value in range(1, 60)}, ignored=(0, UNLABELLED))
    names = benchmark_names('pascal_context')
    return _open_listed(root, listing, 'SegmentationClassContext', names, classes, CONTEXT_SOURCE)


def open_stuff171(root: str | Path) -> SegmentationSet:
    """Return COCO-Stuff with its 171 classes: the 5000 images of val2017.

    Masks are the data set's own, whose values are COCO's ids less 1. Raise as open_ade20k does.
    """
    root = _below(root, 'coco_stuff164k')
    images = _listed(root / 'images' / 'val2017', '*.jpg', STUFF_SOURCE)
    masks = (root / 'annotations' / 'val2017' / f'{image.stem}.png' for image in images)
    ids = [value for value in range(182) if value not in COCO_GAPS]
    classes = _classes({value: index for index, value in enumerate(ids)}, ignored=(UNLABELLED,))
    return _segmentation_set(benchmark_names('coco_stuff'), images, masks, classes, STUFF_SOURCE)


def open_cityscapes(root: str | Path) -> SegmentationSet:
    """Return Cityscapes with the 19 classes that it scores: the 500 images of val, finely labelled.

    Masks are the data set's labelIds. Raise as open_ade20k does.
    """
    root = _below(root, 'cityscapes')
    images = _listed(root / 'leftImg8bit' / 'val', '*/*_leftImg8bit.png', CITYSCAPES_SOURCE)
    folder = root / 'gtFine' / 'val'
    masks = (
        folder / image.parent.name / image.name.replace('_leftImg8bit.png', '_gtFine_labelIds.png') for image in images
    )
    index = {value: index for index, value in enumerate(CITYSCAPES_IDS)}
    # -1, a licence plate, is stored as 255
    classes = _classes(index, ignored=(*(set(range(CITYSCAPES_ALL_IDS)) - set(index)), UNLABELLED))
    return _segmentation_set(benchmark_names('cityscapes'), images, masks, classes, CITYSCAPES_SOURCE)


# How to open a data set for validation, by the name that `lseg evaluate` gives it.
SEGMENTATION_SETS: Mapping[str, Callable[[str | Path], SegmentationSet]] = MappingProxyType(
    {
        'ade20k': open_ade20k,
        'voc20': open_voc20,
        'voc21': open_voc21,
        'context59': open_context59,
        'stuff171': open_stuff171,
        'cityscapes': open_cityscapes,
    }
)


def _open_voc(root: str | Path, names: Sequence[str], classes: np.ndarray) -> SegmentationSet:
    root = _below(root, 'VOCdevkit/VOC2012', 'VOC2012')
    listing = root / 'ImageSets' / 'Segmentation' / 'val.txt'
    return _open_listed(root, listing, 'SegmentationClass', names, classes, VOC_SOURCE)


def _open_listed(
    root: Path, listing: Path, masks: str, names: Sequence[str], classes: np.ndarray, source: str
) -> SegmentationSet:
    """Return the images that a file of the PASCAL data sets lists."""
    stems = _existing(listing, source).read_text(encoding='utf-8').split()
    if not stems:
        raise FileNotFoundError(f'{listing} lists no images: {source}')
    images = [root / 'JPEGImages' / f'{stem}.jpg' for stem in stems]
    return _segmentation_set(names, images, (root / masks / f'{stem}.png' for stem in stems), classes, source)


def _segmentation_set(
    names: Sequence[str], images: Sequence[Path], masks: Iterable[Path], classes: np.ndarray, source: str
) -> SegmentationSet:
    labelled = tuple(
        LabelledImage(_existing(image, source), _existing(mask, source)) for image, mask in zip(images, masks)
    )
    return SegmentationSet(tuple(names), labelled, classes)


def _classes(index: Mapping[int, int], ignored: Iterable[int]) -> np.ndarray:
    """Return the table of SegmentationSet for the class of each mask value."""
    table = np.full(256, IMPOSSIBLE, np.uint8)
    table[list(index)] = list(index.values())
    table[list(ignored)] = UNLABELLED
    return table


def _below(root: str | Path, *folders: str) -> Path:
    """Return the first of `folders` that exists in `root`, or `root` itself."""
    return next((Path(root) / folder for folder in folders if (Path(root) / folder).is_dir()), Path(root))


def _listed(folder: Path, pattern: str, source: str) -> list[Path]:
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f'{folder / pattern} is missing: {source}')
    return paths


def _existing(path: Path, source: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: {source}')
    return path
