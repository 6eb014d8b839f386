# SPDX-License-Identifier: Apache-2.0
"""Labels of a map, answers to words, and places to drive to."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from map_scene import MODEL, SIZE_M, labels_of, texts_of, vector_of

from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping import approach as approaching
from lseg_ros.mapping.approach import ApproachLimits, approach
from lseg_ros.mapping.asking import Question, find_things, place_before
from lseg_ros.mapping.ground_grid import FREE, OCCUPIED, UNKNOWN, GroundLimits, ground_grid
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, label_voxels, relevance
from lseg_ros.mapping.observation import DepthLimits
from lseg_ros.mapping.regions import connected
from lseg_ros.mapping.voxel_map import MapSettings, Voxels


def box(low, high, word):
    """Return the cells of a box, with a word."""
    axes = [np.arange(first, last) for first, last in zip(low, high)]
    return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3), word


def voxels_of(*boxes):
    cells = np.concatenate([cells for cells, _ in boxes]).astype(np.int32)
    vectors = torch.cat([0.8 * vector_of(word).expand(len(cells), -1) for cells, word in boxes]).half()
    count = len(cells)
    return Voxels(cells, np.ones(count, np.float32), np.zeros((count, 3), np.uint8), np.zeros(count), vectors)


ROOM = (
    box((0, 0, 0), (40, 30, 1), 'floor'),
    box((40, 0, 0), (41, 30, 10), 'wall'),
    box((30, 5, 1), (38, 10, 5), 'sofa'),
    box((46, 20, 1), (52, 25, 5), 'sofa'),
)


@pytest.fixture(scope='module')
def room():
    """A room of 4 x 3 m: a floor, a wall at its end, and two sofas, one of them behind a wall."""
    return voxels_of(*ROOM)


@pytest.fixture(scope='module')
def ground(room):
    labels = labels_of('floor', 'wall', 'sofa')
    ids = label_voxels(room.vectors, labels).ids
    return ground_grid(room, ids, (1,), SIZE_M, GroundLimits())


def things_of(room, word, minimum=0.5):
    scores = relevance_of(room, [word], labels_of('floor', 'wall'))
    return find_things(room, scores[0], minimum, SIZE_M)


def relevance_of(room, words, labels):
    return relevance(room.vectors, words, texts_of(*words), label_voxels(room.vectors, labels))


def test_new_labels_relabel_the_whole_map_from_its_vectors(room):
    before = label_voxels(room.vectors, labels_of('floor', 'wall'))
    after = label_voxels(room.vectors, labels_of('floor', 'wall', 'sofa=sofa|lamp'))
    is_sofa = room.vectors.argmax(1).numpy() == 3
    assert np.array_equal(after.ids[~is_sofa], before.ids[~is_sofa])
    assert (after.ids[is_sofa] == 3).all()
    assert (before.confidence[~is_sofa] > 0.99).all()


def test_prompt_competes_with_the_labels_but_not_with_itself(room):
    with_rival = relevance_of(room, ['sofa'], labels_of('floor', 'sofa=sofa|lamp'))
    without = relevance_of(room, ['sofa'], labels_of('floor'))
    assert np.allclose(with_rival, without, atol=1e-5)
    assert relevance_of(room, ['lamp'], labels_of('floor', 'sofa'))[0].max() < 0.6


def test_relevance_is_the_softmax_against_the_labels_without_its_own():
    generator = torch.Generator().manual_seed(0)
    random = torch.nn.functional.normalize(torch.randn(2007, 16, generator=generator), dim=1)
    vectors, rows = 0.7 * random[:2000].half(), random[2000:]
    labels = LabelRegistry().replace(['floor=floor|rug', 'sofa', 'rug'])  # with other: five prompts
    encoded = EncodedLabels(labels, EncodedTexts(rows[:5], 100.0, MODEL))
    prompts = ('rug', 'sofa', 'cat')
    asked = torch.stack([rows[labels.prompts.index('rug')], rows[labels.prompts.index('sofa')], rows[6]])
    found = relevance(vectors, prompts, EncodedTexts(asked, 100.0, MODEL), label_voxels(vectors, encoded))
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)
    other, floor, rug_on_floor, sofa, rug = (100 * unit @ rows[:5].double().T).T
    floor = torch.maximum(floor, rug_on_floor)
    for scores, prompt, rivals in zip(
        found, asked, ((other, sofa), (other, floor, rug), (other, floor, sofa, rug)), strict=True
    ):
        expected = torch.sigmoid(100 * unit @ prompt.double() - torch.stack(rivals).logsumexp(0))
        assert np.allclose(scores, expected, atol=1e-5)


def test_things_are_connected_voxels_with_centre_and_size(room):
    near, far = things_of(room, 'sofa')
    boxes = {tuple(np.round(thing.centre, 3)): tuple(np.round(thing.size, 3)) for thing in (near, far)}
    assert boxes == {(3.4, 0.75, 0.3): (0.8, 0.5, 0.4), (4.9, 2.25, 0.3): (0.6, 0.5, 0.4)}
    assert near.score > 0.9 and len(near.members) == 160
    assert things_of(room, 'lamp') == []
    assert len(things_of(room, 'floor')) == 1


def test_best_voxels_decide_whether_a_thing_is_found_and_weaker_ones_how_far_it_reaches(room):
    is_sofa = (room.vectors.argmax(1) == 3).numpy() & (room.cells[:, 0] < 40)
    scores = np.where(is_sofa, np.where(room.cells[:, 0] < 32, 0.9, 0.4), 0.0).astype(np.float32)
    (whole,) = find_things(room, scores, 0.7, SIZE_M)
    assert np.allclose(whole.size, (0.8, 0.5, 0.4)) and whole.score == pytest.approx(0.9)
    (core,) = find_things(room, scores, 0.85, SIZE_M)
    assert np.allclose(core.size, (0.2, 0.5, 0.4))
    assert find_things(room, scores, 0.95, SIZE_M) == []


def test_thing_of_few_voxels_scores_less():
    few = voxels_of(box((0, 0, 0), (2, 2, 2), 'sofa'))
    scores = np.full(8, 0.9, np.float32)
    assert find_things(few, scores, 0.5, SIZE_M) == []
    assert find_things(few, scores, 0.3, SIZE_M)[0].score == pytest.approx(0.36)


def test_voxels_that_touch_at_a_corner_are_connected_and_others_are_not():
    cells = np.array([(0, 0, 0), (1, 1, 1), (2, 1, 0), (9, 9, 9), (9, 9, 11), (-5, 0, 0)])
    assert sorted(sorted(group.tolist()) for group in connected(cells)) == [[0, 1, 2], [3], [4], [5]]
    assert connected(np.zeros((0, 3), int)) == []
    long = np.stack([np.arange(5000), np.zeros(5000, int), np.zeros(5000, int)], 1)
    assert [len(group) for group in connected(np.random.default_rng(0).permutation(long))] == [5000]


def test_groups_are_those_that_neighbours_lead_to():
    random = np.random.default_rng(0)
    for corner in (0, 2**20 - 4, 4 - 2**20):  # the last are as far away as voxels can be
        cells = random.permutation(np.unique(random.integers(-3, 4, (70, 3)), axis=0)) + corner
        touches = np.abs(cells[:, None] - cells).max(2) <= 1
        reached = touches
        for _ in range(7):  # 2 ** 7 steps, more than there are voxels
            reached = reached @ reached
        expected = {tuple(np.flatnonzero(row)) for row in reached}
        assert {tuple(sorted(group)) for group in connected(cells)} == expected
        assert {tuple(sorted(group)) for group in connected(cells, 3)} == {
            group for group in expected if len(group) > 2
        }


def test_ground_is_free_on_the_floor_occupied_by_what_stands_on_it_and_unknown_elsewhere(ground):
    assert ground.states[ground.cell_at(1.0, 1.0)] == FREE
    assert ground.states[ground.cell_at(3.4, 0.7)] == OCCUPIED
    assert ground.states[ground.cell_at(4.05, 2.0)] == OCCUPIED
    assert ground.states[ground.cell_at(4.3, 2.0)] == UNKNOWN


def test_one_voxel_far_away_does_not_enlarge_the_ground(ground):
    both = voxels_of(*ROOM, box((10**6, 10**6, 0), (10**6 + 1, 10**6 + 1, 1), 'floor'))
    ids = label_voxels(both.vectors, labels_of('floor', 'wall', 'sofa')).ids
    assert np.array_equal(ground_grid(both, ids, (1,), SIZE_M, GroundLimits()).states, ground.states)


def test_pose_stands_on_free_ground_at_the_distance_and_faces_the_thing(room, ground):
    near = next(thing for thing in things_of(room, 'sofa') if thing.centre[0] < 4)
    place = place_before(near, room, SIZE_M, ground, ApproachLimits(distance=1.0, robot_radius=0.25))
    pose = place.pose
    assert pose is not None, place.reason
    cells = (room.cells[near.members, :2] + 0.5) * SIZE_M
    assert np.linalg.norm(cells - (pose.x, pose.y), axis=1).min() == pytest.approx(1.0, abs=0.1)
    toward = math.atan2(near.centre[1] - pose.y, near.centre[0] - pose.x)
    assert pose.yaw == pytest.approx(toward, abs=0.01)
    around = ground.centres(*np.nonzero(ground.states != FREE))
    assert np.linalg.norm(around - (pose.x, pose.y), axis=1).min() >= 0.25


def test_pose_is_nearer_than_wanted_if_the_thing_is_hidden_from_there():
    walls = [((24, 24), (56, 25)), ((24, 55), (56, 56)), ((24, 24), (25, 56)), ((55, 24), (56, 56))]
    yard = voxels_of(
        box((0, 0, 0), (80, 80, 1), 'floor'),
        box((36, 36, 1), (44, 44, 5), 'sofa'),
        *(box((*low, 1), (*high, 10), 'wall') for low, high in walls),
    )
    ids = label_voxels(yard.vectors, labels_of('floor', 'wall', 'sofa')).ids
    ground = ground_grid(yard, ids, (1,), SIZE_M, GroundLimits())
    target = (box((36, 36, 1), (44, 44, 2), 'sofa')[0][:, :2] + 0.5) * SIZE_M
    pose = approach(ground, target, ApproachLimits(distance=2.0, robot_radius=0.2))
    assert 0.8 <= np.linalg.norm(target - (pose.x, pose.y), axis=1).min() <= 1.4
    assert 2.5 < pose.x < 5.5 and 2.5 < pose.y < 5.5


def test_thing_behind_a_wall_has_no_pose_and_a_reason(room, ground):
    far = next(thing for thing in things_of(room, 'sofa') if thing.centre[0] > 4)
    for limits, reason in (
        (ApproachLimits(distance=1.0), 'it cannot be seen'),
        (ApproachLimits(distance=0.1), 'the nearest free ground is 0.'),
        (ApproachLimits(robot_radius=3.0), 'radius 3 m'),
    ):
        place = place_before(far, room, SIZE_M, ground, limits)
        assert place.pose is None and reason in place.reason


def test_large_thing_that_no_place_sees_has_no_pose_and_a_reason(monkeypatch):
    hall = voxels_of(
        box((0, 0, 0), (200, 200, 1), 'floor'),
        box((60, 60, 3), (140, 140, 4), 'wall'),
        box((65, 65, 1), (135, 135, 2), 'sofa'),
    )
    ids = label_voxels(hall.vectors, labels_of('floor', 'wall', 'sofa')).ids
    ground = ground_grid(hall, ids, (1,), SIZE_M, GroundLimits())
    target = (box((70, 70, 1), (130, 130, 2), 'sofa')[0][:, :2] + 0.5) * SIZE_M
    limits = ApproachLimits(distance=2.0)
    with pytest.raises(ValueError, match='cannot be seen from any free ground around it'):
        approach(ground, target, limits)
    monkeypatch.setattr(approaching, '_MOST_SAMPLES', 5000)
    with pytest.raises(ValueError, match=r'cannot be seen from the \d+ of \d+ free places around it that were tried'):
        approach(ground, target, limits)
    with pytest.raises(ValueError, match='outside of the mapped ground'):
        approach(ground, target + 100.0, limits)


def test_no_ground_at_all_is_said():
    empty = voxels_of(box((0, 0, 5), (2, 2, 6), 'sofa'))
    ground = ground_grid(empty, np.array([3] * 4, np.uint8), (1,), SIZE_M, GroundLimits(low=0.1, high=1.0))
    with pytest.raises(ValueError, match='no free ground'):
        approach(ground, np.array([[0.1, 0.1]]), ApproachLimits())


@pytest.mark.parametrize(
    'kind, values, reason',
    [
        (Question, (60, 1, ApproachLimits()), 'least score must be 0 to 1, not 60'),
        (Question, (0.5, 0, ApproachLimits()), 'top_k must be 1 to 20, not 0'),
        (ApproachLimits, (0,), 'approach_distance must be above 0'),
        (DepthLimits, (0.2, 0.1), 'depth must be used from'),
        (MapSettings, (0,), 'voxel_size must be 0.001 or more'),
    ],
)
def test_limit_out_of_range_is_refused(kind, values, reason):
    with pytest.raises(ValueError, match=reason):
        kind(*values)
