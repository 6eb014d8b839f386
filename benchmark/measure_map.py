# SPDX-License-Identifier: Apache-2.0
"""Measure the language map on the recorded drive, against the truth of its masks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth, ids_by_class
from lseg_lab.evaluation.map_truth import (
    ABSENT,
    ABSENT_CHOOSING,
    ASKED,
    LABELS,
    ScoredAnswer,
    TrueVoxels,
    least_minimum,
    score_changes,
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
from lseg_ros.mapping.ranges import MINIMUM_SCORE
from lseg_ros.mapping.stored_map import VoxelLabels
from lseg_ros.mapping.voxel_map import MapSettings, Voxels
from lseg_ros.media.sources import Recording, recorded_drive

FRAME_S = 0.2
SETTINGS, LIMITS = MapSettings(), DepthLimits()
DESCRIPTION = """\
Fuse the embeddings of the recorded drive's three cameras into a map, and print: mIoU and accuracy of
single frames and of the map; how high the minimum score must be not to find five words for what is
not there, and the default that follows (see `least_minimum`); and, at the default, where the map
finds the ten largest classes that are no part of the building, in metres from the nearest true thing
of that class, and the scores of five other words for what is not there.

With --dims it also says what maps of shorter vectors lose. With --lift the vectors have as many
dimensions as those of large models: they are turned into a larger space, with noise of its own in
each place of each frame, which has --noise times their length. Needs the lab and a checkout, but no
ROS.

  python benchmark/measure_map.py
  python benchmark/measure_map.py --dims 96 64 32
  python benchmark/measure_map.py --lift 768 --dims 128 64
"""


@dataclass(frozen=True)
class DriveFrame:
    """A frame of one camera: what the map takes, and the true class of each vector, [h, w]."""

    view: GridView
    truth: np.ndarray


@dataclass(frozen=True)
class Network:
    """A segmenter whose vectors may be lifted: `axes` are [D, wider], `noise` a share of 1."""

    segmenter: Segmenter
    axes: Tensor | None
    noise: float

    def texts(self, prompts: Sequence[str]) -> EncodedTexts:
        """Return the rows of prompts."""
        rows = self.segmenter.encode_prompts(prompts).cpu()
        rows = rows if self.axes is None else rows @ self.axes
        return EncodedTexts(rows, self.segmenter.logit_scale, self.segmenter.embedding_id)

    def lifted(self, vectors: Tensor) -> Tensor:
        """Return unit vectors [..., D] as they are, or in the larger space and with noise."""
        if self.axes is None:
            return vectors
        wide = vectors.float() @ self.axes
        wide += self.noise / wide.shape[-1] ** 0.5 * torch.randn(wide.shape)
        return torch.nn.functional.normalize(wide, dim=-1).half()


def main() -> None:
    """Measure and print the tables."""
    args = _parser().parse_args()
    network = _network(args)
    labels = LabelRegistry().replace(LABELS)
    encoded = EncodedLabels(labels, network.texts(labels.prompts))
    truth = true_voxels(SETTINGS.voxel_size, LIMITS)
    to_ids = ids_by_class(labels, truth.names)
    maps = [LanguageMap(replace(SETTINGS, embedding_dims=count)) for count in (0, *args.dims)]
    frames = np.zeros((256, 256), int)
    for frame in _frames(network, args.stride):
        observation = observe(frame.view, LIMITS, SETTINGS.voxel_size)
        for known in maps:
            known.add(encoded.texts.model, observation)
        near = (frame.view.depth >= LIMITS.least) & (frame.view.depth <= LIMITS.most)
        ids = label_voxels(frame.view.vectors[torch.from_numpy(near)], encoded).ids
        np.add.at(frames, (to_ids[frame.truth[near]], ids), 1)
    whole: list[ScoredAnswer] = []
    for known in maps:
        known.use_labels(encoded)
        voxels = known.voxels()
        found = known.label(voxels)
        fused = _confusion(voxels, found, truth, to_ids)
        there = [label for label in labels.classes if label.id and frames[label.id].any() and fused[label.id].any()]
        print(f'\n{len(voxels)} voxels of {voxels.vectors.shape[1]} numbers')
        if not whole:
            _print_labels(_scores(frames, there), _scores(fused, there))
        minimum = _print_absent(network, voxels, found)
        answers = _answers(network, voxels, found, truth, args.minimum_score)
        if not whole:
            whole = answers
            print('\n'.join([f'\nasked, at a minimum score of {args.minimum_score:g}', *(e.row() for e in answers)]))
        scores = _scores(fused, there)
        print(
            f'mIoU {scores["mIoU"]:.3f}, accuracy {scores["accuracy"]:.3f}; minimum score {minimum:.2f} by absent words'
        )
        print(f'{summary(answers)}; {score_changes(whole, answers)}')


def _network(args: argparse.Namespace) -> Network:
    segmenter = open_segmenter(args.model)
    if not args.lift:
        return Network(segmenter, None, 0.0)
    torch.manual_seed(0)
    dimensions = segmenter.encode_prompts(['floor']).shape[1]
    axes, _ = torch.linalg.qr(torch.randn(args.lift, dimensions))
    return Network(segmenter, axes.T.contiguous(), args.noise)


def _frames(network: Network, stride: int) -> Iterator[DriveFrame]:
    """Yield the frames of all cameras in the order of time."""
    segmenter = network.segmenter
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
            view = replace(view, vectors=network.lifted(view.vectors))
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
    network: Network, voxels: Voxels, found: VoxelLabels, truth: TrueVoxels, minimum: float
) -> list[ScoredAnswer]:
    """Return the best answers to what is there, and to what is not."""
    prompts = (*truth.largest(ASKED), *ABSENT)
    answers = []
    for prompt, score in zip(prompts, found.relevance(prompts, network.texts(prompts))):
        best = next(iter(find_things(voxels, score, minimum, SETTINGS.voxel_size)), None)
        away = truth.distance(prompt, best.centre) if best else None
        answers.append(ScoredAnswer(prompt, best.score if best else None, away))
    return answers


def _print_absent(network: Network, voxels: Voxels, found: VoxelLabels) -> float:
    """Print at which minimum scores absent words are found; return the one that follows."""
    print('not there: the greatest minimum score at which it is found')
    greatest = {}
    prompts = (*ABSENT_CHOOSING, *ABSENT)
    for prompt, scores in zip(prompts, found.relevance(prompts, network.texts(prompts))):
        steps = [step / 100 for step in range(1, 100) if _is_found(voxels, scores, step / 100)]
        greatest[prompt] = max(steps, default=0.0)
        print(f'{prompt:<18}{greatest[prompt]:>6.2f}{"" if prompt in ABSENT_CHOOSING else "   as a test"}')
    return least_minimum([greatest[prompt] for prompt in ABSENT_CHOOSING])


def _is_found(voxels: Voxels, scores: np.ndarray, minimum: float) -> bool:
    return bool(find_things(voxels, scores, minimum, SETTINGS.voxel_size))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='lseg-lite', help='name or file of a model (default: lseg-lite)')
    parser.add_argument(
        '--dims', type=int, nargs='+', default=[], help='embedding_dims of further maps (default: none)'
    )
    parser.add_argument('--stride', type=int, default=2, help='thinning of the grid (default: 2, as in the node)')
    parser.add_argument(
        '--minimum-score',
        metavar='0..1',
        type=float,
        default=MINIMUM_SCORE,
        help='least score of an answer (default: %(default)s, as in the node)',
    )
    parser.add_argument('--lift', metavar='N', type=int, default=0, help='dimensions of lifted vectors (default: none)')
    parser.add_argument('--noise', type=float, default=0.5, help='of lifted vectors (default: %(default)s)')
    return parser


if __name__ == '__main__':
    main()
