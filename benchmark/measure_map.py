# SPDX-License-Identifier: Apache-2.0
"""Measure the language map on the recorded drive, against the truth of its masks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth, ids_by_class
from lseg_ros.core.cloud import PixelGrid, depth_in_metres, pixel_rays
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelClass, LabelRegistry, LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.asking import LEAST_VOXELS, find_things
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, label_voxels, relevance
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.observation import DepthLimits, GridView, observe
from lseg_ros.mapping.regions import connected
from lseg_ros.mapping.voxel_index import cells_of, keys_of
from lseg_ros.mapping.voxel_map import MapSettings, Voxels
from lseg_ros.media.sources import Recording, recorded_drive

LABELS = (
    *('floor', 'wall', 'ceiling', 'door', 'window', 'curtain', 'sofa', 'chair', 'table', 'bed', 'cabinet'),
    *('picture', 'plant', 'lamp', 'rug'),
)
BUILDING = {'floor', 'wall', 'ceiling', 'door', 'window', 'stairs', 'blinds', 'radiator', 'fireplace'}
ABSENT = ('tent', 'tractor', 'car', 'swimming pool', 'boat', 'airplane', 'horse', 'elephant', 'tree', 'traffic light')
ASKED = 10
FRAME_S = 0.2
SETTINGS, LIMITS = MapSettings(), DepthLimits()
DESCRIPTION = """\
Fuse the embeddings of the recorded drive's three cameras into a map, and print three tables: mIoU
and accuracy of single frames and of the map; where the map finds the ten largest classes that are
no part of the building, in metres from the nearest true thing of that class; and the scores of
words for what is not there. Needs the lab and a checkout, but no ROS.

  python benchmark/measure_map.py
"""


@dataclass(frozen=True)
class DriveFrame:
    """A frame of one camera: what the map takes, and the true class of each vector, [h, w]."""

    view: GridView
    truth: np.ndarray


def main() -> None:
    """Measure and print the three tables."""
    args = _parser().parse_args()
    segmenter = open_segmenter(args.model)
    labels = LabelRegistry().replace(LABELS)
    encoded = EncodedLabels(labels, _texts(segmenter, labels.prompts))
    classes = DriveTruth().classes
    to_ids = ids_by_class(labels, classes)
    known = LanguageMap(SETTINGS)
    frames = np.zeros((256, 256), int)
    keys, true_classes = [], []
    for frame in _frames(segmenter, args.stride):
        observation = observe(frame.view, LIMITS, SETTINGS.voxel_size)
        known.add(segmenter.embedding_id, observation)
        near = (frame.view.depth >= LIMITS.least) & (frame.view.depth <= LIMITS.most)
        ids, _ = label_voxels(frame.view.vectors[torch.from_numpy(near)], encoded)
        np.add.at(frames, (to_ids[frame.truth[near]], ids), 1)
        keys.append(keys_of(_cells(frame.view, near)))
        true_classes.append(frame.truth[near])
    truth = _most_seen(np.concatenate(keys), np.concatenate(true_classes))
    voxels = known.voxels()
    _print_labels(frames, _confusion(voxels, truth, encoded, to_ids), labels)
    _print_answers(segmenter, voxels, truth, encoded, classes, args.minimum)


def _frames(segmenter: Segmenter, stride: int) -> Iterator[DriveFrame]:
    """Yield the frames of all cameras in the order of time."""
    prepared = segmenter.prepare(LabelRegistry().replace(LABELS))
    truths = {camera: DriveTruth(camera) for camera in CAMERAS}
    recordings = {camera: Recording(recorded_drive() / camera) for camera in CAMERAS}
    for number, shots in enumerate(zip(*recordings.values())):
        for camera, shot in zip(CAMERAS, shots):
            (result,) = segmenter.segment([shot.image], prepared, embed=True)
            vectors, lines = result.embedding.thinned(stride)
            grid = PixelGrid.along(lines, vectors.shape[:2], shot.image.shape[:2])
            matrix = np.reshape(recordings[camera].camera.matrix, (3, 3))
            view = GridView(
                vectors.half(),
                grid.sample(shot.image),
                depth_in_metres(grid.sample(shot.depth_mm)),
                pixel_rays(grid, matrix, np.zeros(0)),
                truths[camera].poses[number],
                number * FRAME_S,
            )
            yield DriveFrame(view, grid.sample(truths[camera].mask(number)))


def _cells(view: GridView, used: np.ndarray) -> np.ndarray:
    directions = np.stack([*view.rays[:, used], np.ones(used.sum(), np.float32)], axis=1)
    points = directions * view.depth[used][:, None] @ view.pose[:3, :3].T + view.pose[:3, 3]
    cells: np.ndarray = np.floor(points / SETTINGS.voxel_size)
    return cells


def _most_seen(keys: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the true voxels: their keys, ascending, and the class of most of their pixels."""
    unique, voxel_of = np.unique(keys, return_inverse=True)
    counts = np.zeros((len(unique), 256), np.int32)
    np.add.at(counts, (voxel_of, classes), 1)
    return {'keys': unique, 'classes': counts.argmax(1)}


def _confusion(voxels: Voxels, truth: dict[str, np.ndarray], encoded: EncodedLabels, to_ids: np.ndarray) -> np.ndarray:
    ids, _ = label_voxels(voxels.vectors, encoded)
    keys = keys_of(voxels.cells)
    place = np.minimum(np.searchsorted(truth['keys'], keys), len(truth['keys']) - 1)
    found = truth['keys'][place] == keys
    confusion = np.zeros((256, 256), int)
    np.add.at(confusion, (to_ids[truth['classes'][place[found]]], ids[found]), 1)
    return confusion


def _print_labels(frames: np.ndarray, fused: np.ndarray, labels: LabelSet) -> None:
    print(f'{"":<14}{"frames":>8}{"map":>8}   of what lies within {LIMITS.most:g} m')
    there = [label for label in labels.classes if label.id and frames[label.id].any() and fused[label.id].any()]
    scores = [_scores(confusion, there) for confusion in (frames, fused)]
    for name in scores[0]:
        print(f'{name:<14}' + ''.join(f'{score[name]:>8.3f}' for score in scores))


def _scores(confusion: np.ndarray, there: list[LabelClass]) -> dict[str, float]:
    """Return mIoU, accuracy and the IoU of each label, of what truly has one of them."""
    ids = [label.id for label in there]
    known = confusion[ids]
    hits = {label.name: confusion[label.id, label.id] for label in there}
    unions = {label.name: confusion[label.id].sum() + known[:, label.id].sum() for label in there}
    iou = {name: hit / (unions[name] - hit) for name, hit in hits.items()}
    return {'mIoU': float(np.mean([*iou.values()])), 'accuracy': sum(hits.values()) / known.sum(), **iou}


def _print_answers(
    segmenter: Segmenter,
    voxels: Voxels,
    truth: dict[str, np.ndarray],
    encoded: EncodedLabels,
    classes: tuple[str, ...],
    minimum: float,
) -> None:
    instances = _instances(truth, classes)
    largest = sorted(instances, key=lambda name: -len(instances[name][0]))[:ASKED]
    prompts = (*largest, *ABSENT)
    scores = relevance(voxels.vectors, prompts, _texts(segmenter, prompts), encoded)
    print(f'\n{"asked":<16}{"score":>6}{"from the nearest (m)":>22}   minimum score {minimum:g}')
    for prompt, score in zip(prompts, scores):
        things = find_things(voxels, score, minimum, SETTINGS.voxel_size)
        if not things:
            print(f'{prompt:<16}{"-":>6}   not found')
            continue
        boxes = [(cells.min(0) + cells.max(0) + 1) / 2 * SETTINGS.voxel_size for cells in instances.get(prompt, [])]
        away = min((float(np.linalg.norm(things[0].centre - box)) for box in boxes), default=None)
        print(f'{prompt:<16}{things[0].score:>6.2f}' + (f'{away:>22.2f}' if away is not None else f'{"not there":>22}'))


def _instances(truth: dict[str, np.ndarray], classes: tuple[str, ...]) -> dict[str, list[np.ndarray]]:
    """Return the connected true voxels of each class that is no part of the building, by name."""
    found = {}
    for number, name in enumerate(classes):
        cells = cells_of(truth['keys'][truth['classes'] == number])
        groups = [cells[group] for group in connected(cells) if len(group) >= LEAST_VOXELS]
        if groups and name not in BUILDING and number != UNLABELLED:
            found[name] = groups
    return found


def _texts(segmenter: Segmenter, prompts: tuple[str, ...]) -> EncodedTexts:
    return EncodedTexts(segmenter.encode_prompts(prompts).cpu(), segmenter.logit_scale)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='lseg-lite', help='name or file of a model (default: lseg-lite)')
    parser.add_argument('--stride', type=int, default=2, help='thinning of the grid (default: 2, as in the node)')
    parser.add_argument('--minimum', type=float, default=0.5, help='least score of an answer (default: 0.5)')
    return parser


if __name__ == '__main__':
    main()
