# SPDX-License-Identifier: Apache-2.0
"""What is truly in a map, and how far answers are from it."""

from __future__ import annotations

import numpy as np
import pytest

from lseg_lab.evaluation.map_truth import ABSENT, ScoredAnswer, TrueVoxels, least_minimum, score_changes, summary
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.voxel_index import keys_of

NAMES = ('floor', 'sofa', 'lamp', 'rug')


def block(corner, size):
    axes = [np.arange(first, first + count) for first, count in zip(corner, size)]
    return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)


@pytest.fixture
def truth():
    """A floor, two sofas of 40 and 12 voxels, a lamp of 20, and too few voxels for a rug."""
    parts = [
        (0, block((0, 0, 0), (50, 50, 1))),
        (1, block((10, 10, 1), (10, 4, 1))),
        (1, block((30, 30, 1), (3, 2, 2))),
        (2, block((40, 5, 1), (2, 2, 5))),
        (3, block((0, 45, 2), (3, 1, 1))),
    ]
    keys = np.concatenate([keys_of(cells) for _, cells in parts])
    classes = np.concatenate([np.full(len(cells), number) for number, cells in parts])
    order = np.argsort(keys)
    return TrueVoxels(keys[order], classes[order], NAMES, 0.1)


def test_things_are_connected_voxels_but_no_parts_of_the_building(truth):
    assert {name: [len(cells) for cells in things] for name, things in truth.things.items()} == {
        'sofa': [40, 12],
        'lamp': [20],
    }
    assert truth.largest(1) == ('sofa',) and truth.largest(5) == ('sofa', 'lamp')


def test_distance_is_to_the_centre_of_the_nearest_thing(truth):
    assert truth.distance('sofa', np.array([1.5, 1.2, 0.15])) == pytest.approx(0.0)
    assert truth.distance('sofa', np.array([3.15, 3.1, 0.7])) == pytest.approx(0.5)
    assert truth.distance('rug', np.zeros(3)) is None and truth.distance('tent', np.zeros(3)) is None


def test_voxels_have_the_class_that_was_seen_there(truth):
    cells = np.array([(0, 0, 0), (12, 11, 1), (12, 11, 9), (-500, 0, 0), (500, 0, 0)])
    assert truth.classes_at(cells).tolist() == [0, 1, UNLABELLED, UNLABELLED, UNLABELLED]


def test_summary_counts_answers_that_are_near_and_absent_words_that_were_found():
    answers = [
        ScoredAnswer('sofa', 0.9, 0.5),
        ScoredAnswer('lamp', 0.8, 0.51),
        ScoredAnswer('rug', None, None),
        ScoredAnswer(ABSENT[0], 0.7, None),
        ScoredAnswer(ABSENT[1], None, None),
    ]
    assert summary(answers) == '1 of 3 answers within 0.5 m of a true one; 1 of 2 absent words found'
    assert [answer.row().split(maxsplit=2)[1:] for answer in answers[:3]] == [
        ['0.90', '0.50 m'],
        ['0.80', '0.51 m'],
        ['-', 'not found'],
    ]
    assert answers[3].row().endswith('not there')


def test_minimum_score_is_the_least_step_at_which_at_most_one_absent_word_is_found():
    assert least_minimum([0.14, 0.65, 0.19, 0.59, 0.29]) == pytest.approx(0.6)
    assert least_minimum([0.6, 0.1, 0.6]) == pytest.approx(0.65)  # at 0.6, both are still found
    assert least_minimum([0.0, 0.9]) == pytest.approx(0.05)


def test_scores_of_two_maps_are_compared():
    scores = ((0.9, 0.8), (0.5, None), (None, 0.7), (0.4, 0.35))
    whole, others = ([ScoredAnswer('sofa', pair[side], None) for pair in scores] for side in (0, 1))
    assert score_changes(whole, others) == 'scores differ by 0.075 on average, 0.100 at most; 1 lost, 1 more found'
