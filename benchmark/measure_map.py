# SPDX-License-Identifier: Apache-2.0
"""Measure the language map on the recorded drive, against the truth of its masks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth, ids_by_class
from lseg_lab.evaluation.map_truth import (
    ABSENT,
    ABSENT_CHOOSING,
    ASKED,
    LABELS,
    ScoredAnswer,
    TrueVoxels,
    summary,
    true_voxels,
)
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.lens import Lens
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelClass, LabelRegistry
from lseg_ros.mapping.asking import find_things
from lseg_ros.mapping.camera_views import CameraViews, EmbeddedImage
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, label_voxels
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.observation import DepthLimits, GridView, observe
from lseg_ros.mapping.stored_map import VoxelLabels
from lseg_ros.mapping.voxel_map import MapSettings, Voxels
from lseg_ros.media.sources import Recording, recorded_drive

STEPS = np.arange(0.05, 1.0, 0.01)  # of the minimum score
FRAME_S = 0.2
SETTINGS, LIMITS = MapSettings(), DepthLimits()
DESCRIPTION = """\
Fuse the embeddings of the recorded drive's three cameras into a map, and print three tables: mIoU
and accuracy of single frames and of the map; where the map finds the ten largest classes that are
no part of the building, in metres from the nearest true thing of that class, and the scores of
five words for what is not there; and how high minimum_score must be not to find five other such
words, by which its default was chosen. With --dims it also says what maps of shorter vectors lose.
Needs the lab and a checkout, but no ROS.

  python benchmark/measure_map.py
  python benchmark/measure_map.py --dims 96 64 32
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
    truth = true_voxels(SETTINGS.voxel_size, LIMITS)
    to_ids = ids_by_class(labels, truth.names)
    maps = [LanguageMap(replace(SETTINGS, embedding_dims=count)) for count in (0, *args.dims)]
    frames = np.zeros((256, 256), int)
    for frame in _frames(segmenter, args.stride):
        observation = observe(frame.view, LIMITS, SETTINGS.voxel_size)
        for known in maps:
            known.add(segmenter.embedding_id, observation)
        near = (frame.view.depth >= LIMITS.least) & (frame.view.depth <= LIMITS.most)
        ids = label_voxels(frame.view.vectors[torch.from_numpy(near)], encoded).ids
        np.add.at(frames, (to_ids[frame.truth[near]], ids), 1)
    for known in maps:
        known.use_labels(encoded)
    voxels = maps[0].voxels()
    fused = _confusion(voxels, maps[0].label(voxels), truth, to_ids)
    there = [label for label in labels.classes if label.id and frames[label.id].any() and fused[label.id].any()]
    _print_labels(_scores(frames, there), _scores(fused, there))
    _print_answers(segmenter, voxels, maps[0].label(voxels), truth, args.minimum)
    for known in maps[1:]:
        voxels = known.voxels()
        found = known.label(voxels)
        scores = _scores(_confusion(voxels, found, truth, to_ids), there)
        print(f'\n{voxels.vectors.shape[1]} dimensions: mIoU {scores["mIoU"]:.3f}, accuracy {scores["accuracy"]:.3f}')
        print(summary(_answers(segmenter, voxels, found, truth, args.minimum)))


def _frames(segmenter: Segmenter, stride: int) -> Iterator[DriveFrame]:
    """Yield the frames of all cameras in the order of time."""
    prepared = segmenter.prepare(LabelRegistry().replace(LABELS))
    truths = {camera: DriveTruth(camera) for camera in CAMERAS}
    recordings = {camera: Recording(recorded_drive() / camera) for camera in CAMERAS}
    views = CameraViews()
    for number, shots in enumerate(zip(*recordings.values())):
        for camera, shot in zip(CAMERAS, shots):
            (result,) = segmenter.segment([shot.image], prepared, embed=True)
            image = EmbeddedImage.of(result.embedding, shot.image, stride)
            lens = Lens(np.reshape(recordings[camera].camera.matrix, (3, 3)), np.zeros(0))
            view = views.view(image, shot.depth_mm, lens, truths[camera].poses[number], number * FRAME_S)
            yield DriveFrame(view, image.pixels.sample(truths[camera].mask(number)))


def _confusion(voxels: Voxels, found: VoxelLabels, truth: TrueVoxels, to_ids: np.ndarray) -> np.ndarray:
    confusion = np.zeros((256, 256), int)
    np.add.at(confusion, (to_ids[truth.classes_at(voxels.cells)], found.ids), 1)
    return confusion


def _print_labels(frames: dict[str, float], fused: dict[str, float]) -> None:
    print(f'{"":<14}{"frames":>8}{"map":>8}   of what lies within {LIMITS.most:g} m')
    for name in frames:
        print(f'{name:<14}{frames[name]:>8.3f}{fused[name]:>8.3f}')


def _scores(confusion: np.ndarray, there: list[LabelClass]) -> dict[str, float]:
    """Return mIoU, accuracy and the IoU of each label, of what truly has one of them."""
    ids = [label.id for label in there]
    known = confusion[ids]
    hits = {label.name: confusion[label.id, label.id] for label in there}
    unions = {label.name: confusion[label.id].sum() + known[:, label.id].sum() for label in there}
    iou = {name: hit / (unions[name] - hit) for name, hit in hits.items()}
    return {'mIoU': float(np.mean([*iou.values()])), 'accuracy': sum(hits.values()) / known.sum(), **iou}


def _answers(
    segmenter: Segmenter, voxels: Voxels, found: VoxelLabels, truth: TrueVoxels, minimum: float
) -> list[ScoredAnswer]:
    """Return the best answers to what is there, and to what is not."""
    prompts = (*truth.largest(ASKED), *ABSENT)
    answers = []
    for prompt, score in zip(prompts, found.relevance(prompts, _texts(segmenter, prompts))):
        best = next(iter(find_things(voxels, score, minimum, SETTINGS.voxel_size)), None)
        away = truth.distance(prompt, best.centre) if best else None
        answers.append(ScoredAnswer(prompt, best.score if best else None, away))
    return answers


def _print_answers(segmenter: Segmenter, voxels: Voxels, found: VoxelLabels, truth: TrueVoxels, minimum: float) -> None:
    answers = _answers(segmenter, voxels, found, truth, minimum)
    print(f'\nasked, at a minimum score of {minimum:g}')
    print('\n'.join([*(answer.row() for answer in answers), summary(answers)]))
    print('\nnot there: the greatest minimum score at which it is found')
    scores = found.relevance(ABSENT_CHOOSING, _texts(segmenter, ABSENT_CHOOSING))
    for prompt, score in zip(ABSENT_CHOOSING, scores):
        steps = [step for step in STEPS if find_things(voxels, score, step, SETTINGS.voxel_size)]
        print(f'{prompt:<18}{max(steps, default=0):>6.2f}')


def _texts(segmenter: Segmenter, prompts: tuple[str, ...]) -> EncodedTexts:
    return EncodedTexts(segmenter.encode_prompts(prompts).cpu(), segmenter.logit_scale, segmenter.embedding_id)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='lseg-lite', help='name or file of a model (default: lseg-lite)')
    parser.add_argument(
        '--dims', type=int, nargs='+', default=[], help='embedding_dims of further maps (default: none)'
    )
    parser.add_argument('--stride', type=int, default=2, help='thinning of the grid (default: 2, as in the node)')
    parser.add_argument(
        '--minimum', type=float, default=0.6, help='least score of an answer (default: 0.6, as in the node)'
    )
    return parser


if __name__ == '__main__':
    main()
