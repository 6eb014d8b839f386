# SPDX-License-Identifier: Apache-2.0
"""What depth and poses say of answers: the ground, and places seen twice."""

import argparse
import json

import map_bag
import numpy as np
import pytest
from PIL import Image

from lseg_lab.adaptation.agreement import Agreement, FrameAgreement
from lseg_lab.adaptation.cameras import find_cameras
from lseg_lab.adaptation.frame_store import Frame
from lseg_lab.adaptation.report import table
from lseg_lab.adaptation.scene_checks import EARLIER_FRAMES, GROUND_HEIGHTS, SceneChecks, read_views
from lseg_lab.adaptation.scene_view import STRIDE, SceneView
from lseg_lab.commands import adapt
from lseg_lab.evaluation.drive_truth import DriveTruth
from lseg_lab.evaluation.metrics import ConfusionMatrix
from lseg_ros.commands.bag_options import BagOptions, chosen_bag_options
from lseg_ros.core.lens import Lens
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.images import write_image

SIZE = (96, 128)
LENS = Lens(np.array([[80.0, 0, 63.5], [0, 80.0, 47.5], [0, 0, 1]]), np.zeros(0))
HEIGHT = 0.5  # of the camera above the floor
WALL_AT = 2.9
LABELS = LabelRegistry().replace(['floor', 'wall'], {'traversable': ['floor']})
FLOOR, WALL = LABELS.masks['floor'][0], LABELS.masks['wall'][0]


def pose(along=0.0):
    """Return the pose of a camera that looks along x, moved by `along` metres."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    matrix[:3, 3] = along, 0, HEIGHT
    return matrix


def corridor(along=0.0, lens=LENS):
    """Return the view of a floor that ends at a wall WALL_AT from the origin, and its true ids."""
    rows = (np.arange(SIZE[0]) - lens.matrix[1, 2]) / lens.matrix[1, 1]
    wall = WALL_AT - along
    with np.errstate(divide='ignore'):
        floor = np.where(rows > 0, HEIGHT / rows, np.inf)
    depth = np.repeat(np.minimum(floor, wall)[:, None], SIZE[1], 1).astype(np.float32)
    ids = np.where(floor < wall, FLOOR, WALL).astype(np.uint8)
    return SceneView.of(depth, lens, pose(along)), np.repeat(ids[:, None], SIZE[1], 1)


def test_points_lie_where_depth_and_pose_say():
    view, ids = corridor()
    points, seen = view.points(), view.sample(ids)
    assert points.shape == (SIZE[0] // STRIDE, SIZE[1] // STRIDE, 3)
    assert np.allclose(points[seen == FLOOR][:, 2], 0, atol=1e-5)
    assert np.allclose(points[seen == WALL][:, 0], WALL_AT, atol=1e-5)


@pytest.mark.parametrize(
    'lens',
    [LENS, Lens(LENS.matrix, np.array([0.1, -0.05, 0.001, 0.002, 0.01])), Lens(LENS.matrix, np.full(4, 0.01), True)],
    ids=['pinhole', 'distorted', 'fisheye'],
)
def test_a_frame_shows_its_own_points_at_their_pixels(lens):
    view = SceneView.of(np.full(SIZE, 2000, np.uint16), lens, pose())
    points = view.points().reshape(-1, 3)
    index, places = view.find(points)
    assert len(index) == len(points)
    rows, columns = (places * SIZE).T.reshape(2, SIZE[0] // STRIDE, SIZE[1] // STRIDE) - 0.5
    assert np.allclose(rows, np.arange(0, SIZE[0], STRIDE)[:, None], atol=0.01)
    assert np.allclose(columns, np.arange(0, SIZE[1], STRIDE), atol=0.01)


def test_points_behind_others_beside_the_image_or_without_depth_are_not_shown():
    view, _ = corridor()
    behind, beside, seen = (3.5, 0.0, 0.6), (1.0, 2.0, 0.6), (WALL_AT, 0.0, 0.6)
    assert view.find(np.array([behind, beside, seen, (np.nan,) * 3, (-1.0, 0, 0.5)]))[0].tolist() == [2]
    blind = SceneView.of(np.zeros(SIZE, np.uint16), LENS, pose())
    assert not len(blind.find(np.array([seen]))[0])


def checked(answers, steps=(0.0,), **options):
    """Return the checks of what `answers` makes of the true ids of teacher and student."""
    views, truths = zip(*(corridor(along) for along in steps))
    frames = [Frame(0, number) for number in range(len(steps))]
    checks = SceneChecks(LABELS, dict(zip(frames, views)), **{'floor_height': 0.0} | options)
    for number, (frame, ids) in enumerate(zip(frames, truths)):
        checks.add(frame, *answers(number, ids))
    return checks


def test_the_ground_is_what_lies_at_the_height_of_the_floor():
    checks = checked(lambda number, ids: (ids, np.full_like(ids, WALL)))
    teacher, student = checks.teacher.as_json(), checks.student.as_json()
    assert teacher['ground_found'] == 1 and teacher['called_ground_is'] == 1 and teacher['ground_iou'] == 1
    assert student['ground_found'] == 0 and student['called_ground_is'] is None
    everything = checked(lambda number, ids: (np.full_like(ids, FLOOR), ids)).teacher
    counts = everything.ground.counts
    assert everything.as_json()['called_ground_is'] == pytest.approx(counts[1, 1] / counts[:, 1].sum())
    assert 0 < everything.as_json()['called_ground_is'] < 0.9


def test_the_floor_may_have_another_height():
    checks = checked(lambda number, ids: (ids, ids), floor_height=-0.3)
    assert not checks.teacher.ground.truth[1]


def test_places_seen_again_must_have_the_same_answer():
    """A camera drives towards a wall; the student calls the wall floor in every second frame."""
    checks = checked(lambda number, ids: (ids, np.where((ids == WALL) & (number == 1), FLOOR, ids)), steps=(0.0, 0.5))
    assert checks.pairs == 1
    assert checks.teacher.as_json()['same_in_overlap'] > 0.98  # all but the edge of the floor
    (first, ids), (second, _) = corridor(0.0), corridor(0.5)
    index, _ = second.find(first.points().reshape(-1, 3))
    floor = np.mean(first.sample(ids).ravel()[index] == FLOOR)
    assert 0 < floor < 1
    assert checks.student.as_json()['same_in_overlap'] == pytest.approx(floor, abs=0.02)


def test_a_frame_is_compared_with_the_earliest_kept_one():
    steps = [0.01 * number for number in range(EARLIER_FRAMES + 2)]
    checks = checked(lambda number, ids: (ids, np.full_like(ids, FLOOR if number else WALL)), steps=steps)
    assert checks.pairs == len(steps) - 1
    # All but the last frame, from which the first is no longer kept, differ from it.
    seen, same = checks.student.seen, checks.student.same
    assert same / seen == pytest.approx(1 / checks.pairs, abs=0.03)


def test_frames_without_a_view_and_other_cameras_are_left_out():
    view, ids = corridor()
    checks = SceneChecks(LABELS, {Frame(0, 0): view, Frame(1, 0): view}, 0.0)
    for frame in (Frame(0, 0), Frame(0, 1), Frame(1, 0)):
        checks.add(frame, ids, ids)
    assert checks.frames == 2 and checks.pairs == 0
    assert checks.teacher.as_json()['same_in_overlap'] is None


def test_the_recorded_drive_has_views(tmp_path):
    """What the masks of the drive call floor lies on the ground."""
    (camera,) = find_cameras(['drive'], tmp_path)
    frames, truth = [Frame(0, 20), Frame(0, 24)], DriveTruth('front')
    views = read_views([camera], frames)
    assert list(views) == frames
    for frame, view in views.items():
        is_floor = view.sample(truth.mask(frame.number)) == truth.classes.index('floor')
        heights = view.points()[is_floor & (view.depth < 4)][:, 2]
        assert len(heights) > 100 and np.mean(np.abs(heights) < GROUND_HEIGHTS[0]) > 0.95


def test_a_recording_that_lacks_depth_is_compared_without(tmp_path, capsys):
    """A depth image that is missing does not end the command."""
    folder = tmp_path / 'left'
    for part in ('rgb', 'depth'):
        (folder / part).mkdir(parents=True)
    for name in ('000', '001'):
        write_image(folder / 'rgb' / f'{name}.png', np.zeros((*SIZE, 3), np.uint8))
    Image.fromarray(np.full(SIZE, 1000, np.uint16)).save(folder / 'depth' / '000.png')
    facts = {'width': SIZE[1], 'height': SIZE[0], 'K': LENS.matrix.tolist(), 'poses': [pose().tolist()] * 2}
    (folder / 'camera.json').write_text(json.dumps(facts))
    (camera,) = find_cameras([str(folder)], tmp_path / 'work')
    assert list(read_views([camera], [Frame(0, 0), Frame(0, 1)])) == [Frame(0, 0)]
    assert 'depth and poses cannot be used' in capsys.readouterr().err


def test_bags_with_depth_and_tf_have_views(tmp_path):
    """The same frames from the bag and from the recording lie in the same place."""
    bag = map_bag.drive_bag(tmp_path / 'bag')
    (camera,) = find_cameras([str(bag)], tmp_path / 'work')
    views = read_views([camera], [Frame(0, 1), Frame(0, 3)])
    assert list(views) == [Frame(0, 1), Frame(0, 3)]
    (drive,) = find_cameras(['drive'], tmp_path / 'work')
    for frame, view in read_views([drive], [Frame(0, 2), Frame(0, 6)]).items():
        assert np.allclose(views[Frame(0, frame.number // 2)].points(), view.points(), atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(
    ('changes', 'options', 'reason'),
    [
        ({'/camera/depth': []}, {}, 'no topic has depth aligned'),
        ({'/tf': [], '/tf_static': []}, {}, 'no transforms'),
        ({}, {'map_frame': 'odom'}, '2 of 2 frames: no transform leads from frame camera_optical to odom'),
        ({'/tf': map_bag.drive_topics()['/tf'][:3]}, {}, '1 of 2 frames: no transform of frame base'),
        ({}, {'infos': ('/nothing',)}, '2 of 2 frames: no camera_info of the time'),
    ],
    ids=['depth', 'tf', 'frame', 'end of tf', 'camera_info'],
)
def test_why_a_bag_has_no_views_is_said(tmp_path, capsys, changes, options, reason):
    bag = map_bag.drive_bag(tmp_path / 'bag', changes)
    (camera,) = find_cameras([str(bag)], tmp_path / 'work', BagOptions(**options))
    views = read_views([camera], [Frame(0, 1), Frame(0, 4)])
    assert len(views) == reason.startswith('1 of 2')
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments', [('--topic', '/left', '/right'), ('--topic', '/left', '--topic', '/right')], ids=['listed', 'repeated']
)
def test_topics_of_several_cameras_are_listed_or_repeated(arguments):
    parser = argparse.ArgumentParser()
    adapt.add_arguments(parser)
    args = parser.parse_args(['--teacher', 'lseg-lite', '--images', 'bag', '--out', 'out.safetensors', *arguments])
    assert chosen_bag_options(args).topics == ('/left', '/right')


def test_depth_topics_are_given_for_all_cameras_or_none():
    with pytest.raises(ValueError, match='--depth names 1 topics for 2 cameras'):
        BagOptions(topics=('/left', '/right'), depths=('/depth',))


def test_the_report_shows_both_networks():
    checks = checked(lambda number, ids: (ids, np.full_like(ids, WALL)), steps=(0.0, 0.1))
    confusion = ConfusionMatrix(len(LABELS.ids))
    confusion.update(np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8))
    frames = (FrameAgreement(Frame(0, 0), 0.9, 0.8, 0.7), FrameAgreement(Frame(0, 1), 0.7, 0.8, None))
    lines = table({'end': Agreement(LABELS, confusion, frames, checks)}).splitlines()
    assert lines[1].split() == ['end', '2', '0.800', '1.000', '0.700', '1.000']
    assert lines[-2].split()[:6] == ['end,', 'teacher', '2', '1', '1.000', '1.000']
    assert lines[-1].split()[:6] == ['end,', 'student', '2', '1', '0.000', '-']
