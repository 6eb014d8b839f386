# SPDX-License-Identifier: Apache-2.0
"""The map of the drive from above, with objects and answers, beside the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import atan2

import numpy as np
from geometry_msgs.msg import Point, Vector3
from PIL.Image import Image

from lseg_lab.evaluation.drive_truth import ids_by_class
from lseg_lab.evaluation.map_truth import BUILDING, TrueVoxels
from lseg_ros.labels import LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.approach import GroundPose
from lseg_ros.mapping.top_view import MARK_COLORS, Color, Entry, Mark, TopView, beside, legend, shaded, sheet
from lseg_ros.msg import MapAnswer
from map_listener import PublishedMap

_LEAST_M = 0.3  # smaller things are not drawn
_OBJECT_COLOR, _NO_LABEL = (60, 60, 60), (205, 205, 205)


def map_picture(
    published: PublishedMap,
    labels: LabelSet,
    answers: Mapping[str, MapAnswer],
    truth: TrueVoxels,
    prompts: Sequence[str],
) -> Image:
    """Return the picture; in both halves, a colour is a label, and a number a prompt."""
    places = np.stack([published.points[axis] for axis in 'xyz'], axis=1)
    cells = np.rint(places / truth.voxel_size - 0.5).astype(int)
    view = TopView(truth.cells, truth.voxel_size)
    numbers = {prompt: str(number) for number, prompt in enumerate(prompts, 1)}
    there = [prompt for prompt in prompts if prompt in truth.things]
    tints = dict.fromkeys(prompts, _OBJECT_COLOR) | dict(zip(there, cycle(MARK_COLORS)))
    marks = [_answer_mark(answer, numbers[prompt], tints[prompt]) for prompt, answer in answers.items()]
    palette = labels.palette()
    palette[UNLABELLED] = _NO_LABEL
    true_ids = ids_by_class(labels, truth.names)[truth.classes]
    known = view.picture(
        'the map: labels of voxels, objects, and the best answers',
        cells,
        shaded(palette[published.points['label']], cells),
        [*_object_marks(published), *marks],
    )
    true = view.picture(
        'the truth: classes, and what was asked for',
        truth.cells,
        shaded(palette[true_ids], truth.cells),
        _true_marks(truth, numbers, tints),
    )
    asked, names = _asked_entries(answers, prompts, tints), _label_entries(labels)
    return beside([sheet([known, legend(asked, known.width)]), sheet([true, legend(names, true.width)])])


def _asked_entries(answers: Mapping[str, MapAnswer], prompts: Sequence[str], tints: Mapping[str, Color]) -> list[Entry]:
    return [
        Entry(
            f'{prompt} {answers[prompt].score:.2f}' if prompt in answers else f'{prompt}: not found',
            tints[prompt],
            str(number),
        )
        for number, prompt in enumerate(prompts, 1)
    ]


def _label_entries(labels: LabelSet) -> list[Entry]:
    return [*(Entry(label.name, label.color) for label in labels.classes), Entry('none of the labels', _NO_LABEL)]


def _answer_mark(answer: MapAnswer, number: str, color: Color) -> Mark:
    place, turn = answer.pose.position, answer.pose.orientation
    pose = GroundPose(place.x, place.y, 2 * atan2(turn.z, turn.w)) if answer.has_pose else None
    return Mark(number, color, _xyz(answer.center), _xyz(answer.size), pose)


def _object_marks(published: PublishedMap) -> list[Mark]:
    return [
        Mark('', _OBJECT_COLOR, _xyz(each.bbox.center.position), _xyz(each.bbox.size))
        for each in published.objects
        if each.results[0].hypothesis.class_id not in BUILDING and _is_large(_xyz(each.bbox.size))
    ]


def _true_marks(truth: TrueVoxels, numbers: Mapping[str, str], tints: Mapping[str, Color]) -> list[Mark]:
    marks = []
    for prompt, number in numbers.items():
        for cells in truth.things.get(prompt, ()):
            low, high = cells.min(0) * truth.voxel_size, (cells.max(0) + 1) * truth.voxel_size
            if _is_large(high - low):
                marks.append(Mark(number, tints[prompt], (low + high) / 2, high - low))
    return marks


def _is_large(size: np.ndarray) -> bool:
    return bool(size[:2].max() >= _LEAST_M)


def _xyz(vector: Point | Vector3) -> np.ndarray:
    return np.array([vector.x, vector.y, vector.z])
