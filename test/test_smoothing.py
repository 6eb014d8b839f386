# SPDX-License-Identifier: Apache-2.0
"""Smoothing over time: steady, aligned with a moving image, free of what has left the view."""

import cv2
import numpy as np
import pytest
import torch

from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.core.smoothing import LONGEST_GAP_S, ScoreSmoother
from lseg_ros.labels import LabelRegistry

HEIGHT, WIDTH, CELL = 128, 224, 4  # of an image, and of a cell of its grid, in pixels
WHOLE = (HEIGHT / CELL, WIDTH / CELL)
PAN = 3  # pixels from frame to frame


def scenery(seed=0):
    """A picture twice as wide as an image, with large and small structures."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.integers(0, 256, (HEIGHT // cell, 2 * WIDTH // cell, 3), np.uint8),
            (2 * WIDTH, HEIGHT),
            interpolation=cv2.INTER_CUBIC,
        )
        for cell in (32, 8)
    ]
    return cv2.addWeighted(layers[0], 0.6, layers[1], 0.4, 0)


def panned(picture, frame):
    return np.ascontiguousarray(picture[:, PAN * frame : PAN * frame + WIDTH])


def true_classes(picture):
    """Three classes, by the brightness of large areas, for each pixel of the picture."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 12)
    return np.digitize(grey, np.quantile(grey, (1 / 3, 2 / 3)))


def scores_of(classes, rng=None, sureness=1.0):
    """Probabilities on the grid, [3, h, w], like those of an uncertain network."""
    logits = sureness * np.eye(3, dtype=np.float32)[classes[CELL // 2 :: CELL, CELL // 2 :: CELL]]
    if rng is not None:
        logits = logits + rng.normal(0, 0.6, logits.shape)
    return torch.softmax(torch.from_numpy(logits.astype(np.float32)).permute(2, 0, 1), 0)


def next_frame(smoother, image, scores, covered=WHOLE):
    smoother.begin(0.0)
    return smoother(image, scores, covered)


def drive(smoother, frames=20):
    """Pan over the scenery; return the shares of cells that change and that are correct."""
    picture, rng = scenery(), np.random.default_rng(1)
    classes = true_classes(picture)
    changes, right, before = [], [], None
    for frame in range(frames):
        truth = panned(classes, frame)
        answer = next_frame(smoother, panned(picture, frame), scores_of(truth, rng))
        answer = answer.argmax(0).numpy()
        right.append((answer == truth[CELL // 2 :: CELL, CELL // 2 :: CELL]).mean())
        if before is not None:
            changes.append((answer != before).mean())
        before = answer
    return np.mean(changes), np.mean(right)


def test_flicker_is_less_than_half_while_the_camera_moves_and_more_is_right():
    flicker, accuracy = drive(ScoreSmoother(0.0))
    calm, better = drive(ScoreSmoother(0.8, 'flow'))
    assert calm < flicker / 2
    assert better > accuracy


def test_without_noise_the_moving_borders_stay_where_they_are():
    picture = scenery()
    classes = true_classes(picture)
    smoother = ScoreSmoother(0.8, 'flow')
    for frame in range(10):
        truth = panned(classes, frame)
        answer = next_frame(smoother, panned(picture, frame), scores_of(truth)).argmax(0).numpy()
    assert (answer == truth[CELL // 2 :: CELL, CELL // 2 :: CELL]).mean() > 0.97


@pytest.mark.parametrize('cells_right', [1, 2])
@pytest.mark.parametrize('cells_down', [0, 1])
def test_history_moves_as_far_as_the_image(cells_right, cells_down):
    picture = cv2.resize(scenery(), None, fx=1, fy=2)
    y, x = CELL * cells_down, CELL * cells_right
    smoother = ScoreSmoother(0.9, 'flow')
    scores = torch.from_numpy(
        cv2.GaussianBlur(np.random.default_rng(2).random((*map(int, WHOLE), 3), np.float32), (0, 0), 1.5)
    ).permute(2, 0, 1)
    next_frame(smoother, picture[:HEIGHT, :WIDTH], scores)
    moved = next_frame(smoother, picture[y : y + HEIGHT, x : x + WIDTH], 0 * scores) / 0.9
    inner = np.s_[:, 3:-5, 3:-5]
    expected = scores.roll((-cells_down, -cells_right), (1, 2))
    difference = (moved - expected)[inner].abs()
    # An error of a twentieth of a cell would show, and half a pixel is an eighth.
    slope = scores.diff(dim=2)[inner].abs().mean()
    assert difference.mean() < 0.05 * slope


def test_thin_things_stand_out_however_often_they_are_moved():
    picture = scenery()
    stripes = np.broadcast_to(np.arange(2 * WIDTH) // (3 * CELL) % 2, picture.shape[:2])
    smoother = ScoreSmoother(0.8, 'flow')
    for frame in range(20):
        scores = scores_of(panned(stripes, frame), sureness=3.0)
        smoothed = next_frame(smoother, panned(picture, frame), scores)
    before, after = ((each[1] - each[0])[:, :-4].abs().mean() for each in (scores, smoothed))
    assert after > 0.65 * before  # linear interpolation leaves 0.56


def test_frame_that_is_given_again_counts_once():
    smoother, other = ScoreSmoother(0.9, 'flow'), ScoreSmoother(0.9, 'flow')
    picture, rng = scenery(), np.random.default_rng(3)
    for frame in range(3):
        image = panned(picture, frame)
        scores = scores_of(panned(true_classes(picture), frame), rng)
        once = next_frame(other, image, scores)
        next_frame(smoother, image, scores)
        torch.testing.assert_close(smoother(image, scores, WHOLE), once)


def test_without_warp_it_is_the_exponential_average():
    smoother = ScoreSmoother(0.75)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = None
    for value in (1.0, 0.0, 0.5):
        scores = torch.full((3, *map(int, WHOLE)), value)
        expected = scores if expected is None else 0.75 * expected + 0.25 * scores
        torch.testing.assert_close(next_frame(smoother, image, scores), expected)


def test_padding_of_the_grid_takes_no_part_in_the_movement():
    """The grid is larger than the image, yet motion has the same extent on both."""
    picture = scenery()
    classes = true_classes(picture)
    smoother = ScoreSmoother(0.9, 'flow')
    for frame in range(8):
        truth = panned(classes, frame)
        scores = torch.nn.functional.pad(scores_of(truth), (0, 20, 0, 9))
        answer = next_frame(smoother, panned(picture, frame), scores).argmax(0).numpy()
    seen = answer[: int(WHOLE[0]), : int(WHOLE[1])]
    assert (seen == truth[CELL // 2 :: CELL, CELL // 2 :: CELL]).mean() > 0.97


@pytest.mark.parametrize('warp', ['none', 'flow'])
def test_standing_camera_keeps_scores_in_place(warp):
    smoother = ScoreSmoother(0.9, warp)
    image = panned(scenery(), 0)
    scores = scores_of(true_classes(image))
    for _ in range(5):
        torch.testing.assert_close(next_frame(smoother, image, scores), scores, atol=0.02, rtol=0)


@pytest.mark.parametrize('size', [(24, 400), (100, 1000), (1, 200), (400, 24), (1, 1)])
def test_strips_are_smoothed_too(size):
    """OpenCV's flow ended the process at images of few rows."""
    rng = np.random.default_rng(0)
    smoother = ScoreSmoother(0.5, 'flow')
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    grid = [max(1, side // 4) for side in size]
    first, second = (torch.from_numpy(rng.random((2, *grid), np.float32)) for _ in range(2))
    for _ in range(20):  # it did not crash each time
        smoother.reset()
        next_frame(smoother, image, first, grid)
        torch.testing.assert_close(next_frame(smoother, image, second, grid), (first + second) / 2, atol=0.1, rtol=0)


def forgets(smoother, change):
    """Whether `change` removes every trace of one frame from the next."""
    image = panned(scenery(), 0)
    smoother(image, torch.ones(3, *map(int, WHOLE)), WHOLE)
    smoother.begin(10.0)
    change(smoother)
    scores = torch.zeros(3, *map(int, WHOLE))
    return not smoother(image, scores, WHOLE).any()


def test_history_is_kept_until_reset():
    assert not forgets(ScoreSmoother(0.5), lambda smoother: None)
    assert forgets(ScoreSmoother(0.5), ScoreSmoother.reset)


def test_what_was_before_smoothing_was_off_is_forgotten():
    smoother = ScoreSmoother(0.5)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ones = torch.ones(3, *map(int, WHOLE))
    next_frame(smoother, image, ones)
    smoother.smoothing = 0.0
    next_frame(smoother, image, 0 * ones)
    smoother.smoothing = 0.5
    assert not next_frame(smoother, image, 0 * ones).any()


@pytest.mark.parametrize(
    'stamp_s, jumps',
    [
        (10.1, False),
        (10.0, False),
        (10.0 + LONGEST_GAP_S, False),
        (11.1 + LONGEST_GAP_S, True),
        (9.9, True),
        (0.0, True),
    ],
)
def test_jump_of_time_resets(stamp_s, jumps):
    smoother = ScoreSmoother(0.5)
    smoother.begin(10.0)
    assert forgets(smoother, lambda smoother: smoother.begin(stamp_s)) == jumps


@pytest.mark.parametrize('warp', ['none', 'flow'])
def test_other_sizes_and_numbers_of_classes_start_anew(warp):
    smoother = ScoreSmoother(0.9, warp)
    picture = scenery()
    for size, classes in (((96, 160), 3), ((128, 224), 3), ((128, 224), 5), ((1, 1), 2)):
        image = np.ascontiguousarray(picture[: size[0], : size[1]])
        scores = torch.rand(classes, 32, 56)
        torch.testing.assert_close(next_frame(smoother, image, scores), scores)


def test_cut_to_another_picture_leaves_nothing_behind():
    smoother = ScoreSmoother(0.9, 'flow')
    for seed in (0, 5):
        image = panned(scenery(seed), 0)
        scores = scores_of(true_classes(scenery(seed))[:, :WIDTH], sureness=4.0)
        smoothed = next_frame(smoother, image, scores)
    assert (smoothed.argmax(0) == scores.argmax(0)).float().mean() > 0.9


def test_segmenter_passes_each_image_through_its_own_filter(tiny_model):
    segmenter = SinglePassSegmenter(tiny_model)
    prepared = segmenter.prepare(LabelRegistry(include_other=False).replace(['floor', 'wall']))
    images = [panned(scenery(), 0)[:90, :100], panned(scenery(), 0)[:90, :100]]
    seen = []

    def only_wall(image, scores, covered):
        seen.append((image.shape, scores.shape[1:], covered))
        return torch.stack([torch.zeros_like(scores[0]), torch.ones_like(scores[1])])

    plain, filtered = segmenter.segment(images, prepared, filters=[ScoreSmoother(0.0), only_wall])
    np.testing.assert_array_equal(plain.ids, segmenter.segment(images[:1], prepared)[0].ids)
    assert (filtered.ids == 2).all() and (filtered.confidence == 255).all()
    ((shape, grid, covered),) = seen
    assert shape == (90, 100, 3)  # padded to 96 x 128
    np.testing.assert_allclose(covered, (grid[0] * 90 / 96, grid[1] * 100 / 128))


def test_frame_of_a_batch_that_failed_counts_once_when_it_is_segmented_again(tiny_model):
    segmenter = SinglePassSegmenter(tiny_model)
    prepared = segmenter.prepare(LabelRegistry().replace(['floor', 'wall']))
    images = [panned(scenery(), frame) for frame in range(3)]
    calm, alone = ScoreSmoother(0.9, 'flow'), ScoreSmoother(0.9, 'flow')

    def failing(image, scores, covered):
        raise RuntimeError('out of memory')

    for image in images:
        for smoother in (calm, alone):
            smoother.begin(0.0)
        with pytest.raises(RuntimeError, match='out of memory'):
            segmenter.segment([image, image], prepared, filters=[calm, failing])
        (again,) = segmenter.segment([image], prepared, filters=[calm])
        (once,) = segmenter.segment([image], prepared, filters=[alone])
        np.testing.assert_array_equal(again.confidence, once.confidence)


@pytest.mark.parametrize(
    'settings, reason',
    [
        ((1.0,), 'less than 1, not 1.0'),
        ((-0.1,), 'not -0.1'),
        ((float('nan'),), 'not nan'),
        ((0.5, 'magic'), "none, flow, not 'magic'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        ScoreSmoother(*settings)
