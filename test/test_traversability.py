# SPDX-License-Identifier: Apache-2.0
"""The demo's map of where a robot may drive, and what is found by the shipped model."""

import cv2
import numpy as np
import pytest

from drive_score import DriveScore
from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth, ids_by_class
from lseg_ros.core.cloud import POINT, PixelGrid, depth_in_metres, labelled_points, pixel_rays
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.segmenter import Segmentation
from lseg_ros.labels import LabelRegistry, read_label_file
from lseg_ros.media.sources import open_source, recorded_drive
from traversability import CELL_M, ROBOT_HEIGHT_M, Ground, TraversabilityMap, floor_recall, obstacle_misses

EVERY = 8  # of the drive's frames; there are 14 cm from one to the next
STRIDE = 2
AHEAD = np.array(
    [[[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0]]]
)  # half a metre above the origin, looking along x
SOURCES = {'front': 'drive', 'left': 'drive/left', 'rear': 'drive/rear'}


@pytest.fixture(scope='module')
def labels():
    file = read_label_file('navigation')
    return LabelRegistry().replace(file.labels, file.groups)


def cloud(camera, number, result):
    """The cloud that the node makes of a frame."""
    source = open_source(SOURCES[camera])
    size = (source.camera.height, source.camera.width)
    grid = PixelGrid.between(size, size, STRIDE)
    rays = pixel_rays(grid, np.reshape(source.camera.matrix, (3, 3)), np.zeros(0))
    depth = cv2.imread(str(recorded_drive() / camera / f'depth/{number:03d}.png'), cv2.IMREAD_UNCHANGED)
    image = np.zeros((*size, 3), np.uint8)
    points = np.empty(rays.shape[1:], POINT)
    labelled_points(
        depth_in_metres(grid.sample(depth)),
        rays,
        grid.sample(image),
        grid.sample(result.ids),
        grid.sample(result.confidence),
        points,
    )
    return points


def at(*places):
    """Points of the optical frame of AHEAD, from places (x, y, z) in the world."""
    x, y, z = np.array(places, float).T
    return np.stack([-y, 0.5 - z, x], axis=1)


def cell_at(grid, place):
    column = ((np.array(place) - grid.low) / CELL_M).astype(int)
    return Ground(grid.ground()[tuple(column)])


def voted(points, is_free, times=5):
    grid = TraversabilityMap(AHEAD)
    for _ in range(times):
        grid.add(points, np.array(is_free), np.ones(len(points)), AHEAD[0])
    return grid


def test_points_vote_where_they_lie_in_the_world():
    grid = voted(at((1.0, 0.5, 0.0), (2.0, -0.7, 0.3)), [True, False])
    assert cell_at(grid, (1.0, 0.5)) == Ground.FREE
    assert cell_at(grid, (2.0, -0.7)) == Ground.BLOCKED
    assert cell_at(grid, (1.0, -0.5)) == Ground.UNSEEN


def test_what_hangs_above_the_robot_or_has_no_depth_says_nothing():
    grid = voted(np.vstack([at((1.0, 0.0, ROBOT_HEIGHT_M + 0.1)), np.full((1, 3), np.nan)]), [False, False])
    assert not grid.ground().any()


def test_an_obstacle_on_the_floor_blocks_its_cell():
    grid = voted(at((1.0, 0.0, 0.0), (1.0, 0.0, 0.2)), [True, False])
    assert cell_at(grid, (1.0, 0.0)) == Ground.BLOCKED


def test_one_vote_is_not_enough():
    assert not voted(at((1.0, 0.0, 0.0)), [True], times=1).ground().any()


def test_scores_are_shares_of_the_true_cells():
    truth = np.array([Ground.FREE] * 4 + [Ground.BLOCKED] * 5 + [Ground.UNSEEN])
    ground = np.array([1, 1, 1, 0, 1, 2, 2, 2, 0, 1])
    assert floor_recall(ground, truth) == 0.75
    assert obstacle_misses(ground, truth) == 0.2


def test_true_masks_give_the_true_map(labels):
    """A right answer for every pixel scores full marks: maps, poses and masks belong together."""
    score = DriveScore(labels)
    for camera in CAMERAS:
        truth = DriveTruth(camera)
        for number in range(0, len(truth), 4 * EVERY):
            ids = ids_by_class(labels, truth.classes)[truth.mask(number)]
            ids[ids == 255] = 2  # what is not asked is not to be driven on
            score.add_label_image(camera, number, ids)
            score.add_points(camera, number, cloud(camera, number, Segmentation(ids, np.full_like(ids, 255))))
        assert score.mean_iou(camera) > 0.9
    assert (score.floor_recall, score.obstacle_misses) == (1.0, 0.0)


@pytest.mark.slow
def test_map_of_the_drive_finds_the_floor_and_misses_few_obstacles(labels):
    segmenter = open_segmenter(device='cpu')
    prepared = segmenter.prepare(labels)
    score = DriveScore(labels)
    for camera in CAMERAS:
        for number, shot in enumerate(open_source(SOURCES[camera])):
            if number % EVERY == 0:
                (result,) = segmenter.segment([shot.image], prepared)
                score.add_label_image(camera, number, result.ids)
                score.add_points(camera, number, cloud(camera, number, result))
    assert score.floor_recall > 0.8
    assert score.obstacle_misses < 0.04
    assert all(score.mean_iou(camera) > 0.2 for camera in CAMERAS)


def test_picture_shows_the_map_beside_the_truth(labels):
    score = DriveScore(labels)
    ids = np.full((240, 424), 2, np.uint8)  # all wall
    score.add_points('front', 0, cloud('front', 0, Segmentation(ids, np.full_like(ids, 255))))
    picture = score.picture()
    half = (picture.shape[1] - 16) // 2
    ours, truth = (set(map(tuple, part.reshape(-1, 3))) for part in (picture[:, :half], picture[:, -half:]))
    green = (90, 170, 90)
    assert green in truth and green not in ours
