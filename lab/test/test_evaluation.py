# SPDX-License-Identifier: Apache-2.0
"""Evaluation: metrics against numbers worked out by hand, folders, rooms, calibration."""

import argparse
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from lseg_lab.commands import calibrate, evaluate
from lseg_lab.evaluation import calibration
from lseg_lab.evaluation.boxes import open_boxes, score_boxes
from lseg_lab.evaluation.folder import Example, open_folder, read_example, read_names
from lseg_lab.evaluation.metrics import ConfusionMatrix, Reliability
from lseg_lab.evaluation.rendered import ROBOT_LABELS, RoomExamples, score_rooms
from lseg_lab.evaluation.score import score
from lseg_lab.training.dataset import open_folders
from lseg_lab.training.vocabulary import load_vocabulary
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import load, save


def matrix():
    """Three classes, the third never true; one pixel is not counted, one has no prediction."""
    confusion = ConfusionMatrix(3)
    truth = np.array([[0, 0, 0, 1], [1, 1, 1, 255]], np.uint8)
    answer = np.array([[0, 0, 1, 1], [1, 2, 255, 0]], np.uint8)
    confusion.update(truth, answer)
    return confusion


def test_scores_of_a_confusion_matrix():
    """Class 0: 2 of 3. Class 1: 2 right, 4 true, 1 false positive. Class 2: absent."""
    confusion = matrix()
    assert confusion.counts.tolist() == [[2, 1, 0, 0], [0, 2, 1, 1], [0, 0, 0, 0]]
    assert confusion.iou[:2] == pytest.approx([2 / 3, 2 / 5])
    assert np.isnan(confusion.iou[2])
    assert confusion.mean_iou == pytest.approx((2 / 3 + 2 / 5) / 2)
    assert confusion.pixel_accuracy == pytest.approx(4 / 7)


def test_pixels_are_pooled_over_images():
    """Counting the same image twice changes no score."""
    once, twice = matrix(), matrix()
    twice.counts += once.counts
    assert twice.mean_iou == once.mean_iou


def test_precision_and_recall():
    """Pixels without a prediction count against recall only."""
    confusion = matrix()
    assert confusion.precision.tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    assert confusion.recall[:2].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(confusion.recall[2])


def test_scores_without_pixels_are_nan():
    """Nothing divides by zero."""
    assert np.isnan(ConfusionMatrix(2).mean_iou)
    assert np.isnan(ConfusionMatrix(2).pixel_accuracy)
    assert np.isnan(Reliability().expected_calibration_error)


def test_expected_calibration_error():
    """Two bins: confidence 0.95 is always right, 0.75 half of the time."""
    reliability = Reliability(bins=10)
    reliability.update(np.array([0.95, 0.95, 0.75, 0.75]), np.array([True, True, True, False]))
    assert reliability.expected_calibration_error == pytest.approx((2 * 0.05 + 2 * 0.25) / 4)
    reliability.update(np.array([1.0]), np.array([True]))
    assert reliability.count.sum() == 5


@pytest.fixture
def photos(tmp_path):
    """Two images with masks and one without."""
    for number, name in enumerate(('a.png', 'b.jpg', 'c.png')):
        cv2.imwrite(str(tmp_path / name), np.full((40, 50, 3), 60 * number, np.uint8))
    for stem in 'ab':
        mask = np.zeros((40, 50), np.uint8)
        mask[20:], mask[:, :3] = 1, 255
        cv2.imwrite(str(tmp_path / f'{stem}_mask.png'), mask)
    return tmp_path


def test_a_folder_gives_the_images_that_have_masks(photos):
    """Masks are not images themselves."""
    examples = list(open_folder(photos))
    assert [example.name for example in examples] == ['a', 'b']
    assert examples[0].image.shape == (40, 50, 3)
    assert set(np.unique(examples[0].mask)) == {0, 1, 255}


def test_a_folder_without_masks_is_refused(photos):
    """The error names the pattern."""
    with pytest.raises(FileNotFoundError, match='_labels.png'):
        open_folder(photos, '{stem}_labels.png')


@pytest.mark.parametrize('masks', ['{name}.png', '{0}.png', '{', '{stem.nothing}'])
def test_a_pattern_with_other_braces_is_refused(photos, masks):
    """The error says what may be in braces."""
    with pytest.raises(ValueError, match='may only have {stem} in braces'):
        open_folder(photos, masks)


def test_an_image_too_large_for_opencv_is_refused(photos):
    """OpenCV raises an exception of its own for it."""
    (photos / 'a.png').write_bytes(b'P5 2000000 1 255 ')
    with pytest.raises(OSError, match='a.png: not readable'):
        read_example(photos / 'a.png', photos / 'a_mask.png')


def test_sizes_must_agree(photos):
    """The error names the mask's file."""
    cv2.imwrite(str(photos / 'a_mask.png'), np.zeros((10, 10), np.uint8))
    with pytest.raises(OSError, match='a_mask.png'):
        read_example(photos / 'a.png', photos / 'a_mask.png')


def test_names_are_one_a_line(tmp_path):
    """Comments and empty lines are skipped; a file without names is refused."""
    file = tmp_path / 'names.txt'
    file.write_text('# rooms\nfloor=floor|ground\n\nwall\n')
    assert read_names(file) == ['floor=floor|ground', 'wall']
    file.write_text('# nothing\n')
    with pytest.raises(ValueError, match='contains no labels'):
        read_names(file)


def test_score_equals_the_segmenter(photos, tiny_model):
    """The confusion matrix counts the segmenter's predictions."""
    segmenter, labels = SinglePassSegmenter(tiny_model), ['floor', 'wall', 'person']
    result = score(segmenter, labels, open_folder(photos))
    assert result.labels == ('floor', 'wall', 'person')
    assert result.images == 2
    assert result.confusion.counts.sum() == 2 * 40 * 47
    assert set(result.per_class()) == {'floor', 'wall'}


class Answers:
    """A segmenter whose answer is the first channel of the image, its confidence the second."""

    def prepare(self, labels):
        """Keep the labels as they are."""
        return labels

    def segment(self, images, _prepared):
        """Return ids from 1."""
        return [SimpleNamespace(ids=i[..., 0] + 1, confidence=i[..., 1]) for i in images]


def test_false_positives_are_counted_twice_when_confident():
    """Two of eight wall pixels are called floor, one of them with confidence."""
    image = np.full((2, 5, 3), 1, np.uint8)
    mask = np.full((2, 5), 1, np.uint8)
    mask[:, 0], image[:, 0, 0] = 0, 0  # two pixels of floor, found
    image[0, 1:3, 0] = 0
    image[0, 1:3, 1] = 240, 200
    errors = score(Answers(), ['floor', 'wall'], [Example('a', image, mask)]).errors()
    assert errors['floor'] == {
        'precision': pytest.approx(0.5),
        'recall': pytest.approx(1.0),
        'false_positive_rate': pytest.approx(0.25),
        'confident_false_positive_rate': pytest.approx(0.125),
    }
    assert errors['wall']['false_positive_rate'] == 0.0


@pytest.fixture
def doors(tmp_path):
    """One photograph: a door fills its left quarter, a strip of another is on the right."""
    root = tmp_path / 'doors'
    root.mkdir()
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :10] = 1
    image[:20, 39] = 1
    cv2.imwrite(str(root / 'a.png'), image)
    (root / 'boxes.tsv').write_text(
        'file\tclass\tleft\ttop\tright\tbottom\n'
        'a.png\tdoor\t0\t0\t10\t40\n'
        'a.png\tdoor\t20\t0\t40\t40\n'
        'a.png\thandle\t30\t0\t30\t4\n'
    )
    return root


def test_boxes_are_found_or_missed(doors):
    """Scores cover the middle of each box; pixels beside the middle are not outside."""
    photos = open_boxes(doors, 'door')
    result = score_boxes(Answers(), ['wall', 'door'], 'door', photos)
    assert result.summary() == {
        'boxes': 2, 'share': 0.5, 'found': 0.5, 'missed': 0.5, 'outside': 0.0,
    }  # fmt: skip
    assert result.shares['wall'].tolist() == [0.0, 1.0]
    whole = score_boxes(Answers(), ['wall', 'door'], 'door', photos, middle=1.0)
    assert whole.shares['door'].tolist() == [1.0, pytest.approx(0.025)]


def test_pixels_outside_all_boxes(doors):
    """A label without its box is a false find."""
    (doors / 'boxes.tsv').write_text('file\tleft\ttop\tright\tbottom\na.png\t0\t0\t10\t40\n')
    result = score_boxes(Answers(), ['wall', 'door'], 'door', open_boxes(doors, 'door'))
    assert result.outside == pytest.approx(20 / 420)


def test_boxes_that_cannot_be_scored_are_refused(doors):
    """The errors name the label and the photograph."""
    with pytest.raises(ValueError, match="no boxes of 'stairs'"):
        open_boxes(doors, 'stairs')
    with pytest.raises(ValueError, match="'door' is not among the labels wall"):
        score_boxes(Answers(), ['wall'], 'door', open_boxes(doors, 'door'))
    (doors / 'a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.png'):
        open_boxes(doors, 'door')


@pytest.fixture
def rooms(tmp_path):
    """Two images of a floor, a desk, an armchair and a class excluded from training."""
    root = tmp_path / 'rooms'
    root.mkdir()
    classes = ['floor', 'desk', 'armchair', 'crib']
    (root / 'dataset.json').write_text(json.dumps({'classes': classes}))
    for number in range(2):
        mask = np.repeat(np.arange(4, dtype=np.uint8), 16)[None].repeat(32, axis=0)
        cv2.imwrite(str(root / f'{number:06d}_0.jpg'), np.repeat(mask[..., None] * 60, 3, axis=2))
        cv2.imwrite(str(root / f'{number:06d}_0.mask.png'), mask)
    return root


def test_rooms_are_scored_under_the_names_asked(rooms):
    """A desk counts as a table.

    An armchair (chair or sofa) and a crib (never trained) are not counted.
    """
    examples = RoomExamples(open_folders([rooms]), load_vocabulary(), ROBOT_LABELS, [0, 1])
    mask = next(iter(examples)).mask
    assert len(examples) == 2
    assert ROBOT_LABELS[mask[0, 0]] == 'floor'
    assert ROBOT_LABELS[mask[0, 20]] == 'table'
    assert mask[0, 40] == mask[0, 60] == 255


def test_rooms_scores_cover_names_seen_held_out_and_left_out(rooms, tiny_model):
    """Each set counts exactly its own pixels."""
    scores = score_rooms(SinglePassSegmenter(tiny_model), open_folders([rooms]), load_vocabulary())
    pixels = {name: result.confusion.counts.sum() for name, result in scores.items()}
    column = 2 * 32 * 16
    assert pixels == {
        'all_classes': 3 * column,
        'robot_labels': 2 * column,
        'trained_names': 3 * column,
        'held_out_names': 3 * column,
        'left_out': column,
    }


def test_rooms_are_scored_with_labels_of_your_own(rooms, tiny_model, tmp_path):
    """Names are compared with the vocabulary, prompts are what the model is asked."""
    save(tiny_model, tmp_path / 'tiny.safetensors')
    (tmp_path / 'robot.yaml').write_text('labels: {floor: [ground, rug], table: [desk]}')
    data = ('--dataset', 'rooms', '--root', rooms, '--labels', tmp_path / 'robot.yaml')
    model = ('--model', tmp_path / 'tiny.safetensors', '--backend', 'eager', '--json', tmp_path / 's.json')
    assert run(*data, *model) == 0
    (numbers,) = json.loads((tmp_path / 's.json').read_text()).values()
    assert numbers['images'] == 2 and set(numbers['iou']) == {'floor', 'table'}


def test_calibration_finds_the_temperature_of_the_data():
    """Labels drawn from softmax(logits / 3) yield 3."""
    torch.manual_seed(0)
    logits = torch.randn(20000, 5) * 4
    truth = torch.distributions.Categorical(logits=logits / 3.0).sample()
    assert calibration._minimise(logits, truth) == pytest.approx(3.0, rel=0.05)


def run(*arguments, command=evaluate):
    """Run `lseg evaluate`, or another command."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_command_scores_a_folder(photos, tiny_model, tmp_path, capsys):
    """The table is printed and the numbers are written."""
    save(tiny_model, tmp_path / 'tiny.safetensors')
    (tmp_path / 'names.txt').write_text('floor\nwall\n')
    data = ('--root', photos, '--labels', tmp_path / 'names.txt')
    model = ('--model', tmp_path / 'tiny.safetensors', '--backend', 'eager', '--json', tmp_path / 's.json')
    assert run('--dataset', 'folder', *data, *model) == 0
    assert 'mIoU' in capsys.readouterr().out
    (numbers,) = json.loads((tmp_path / 's.json').read_text()).values()
    assert numbers['images'] == 2 and set(numbers['iou']) == {'floor', 'wall'}


def test_the_command_scores_boxes(doors, tiny_model, tmp_path, capsys):
    """A label file of the node lists the labels to ask for."""
    save(tiny_model, tmp_path / 'tiny.safetensors')
    (tmp_path / 'labels.yaml').write_text('labels: {wall: [wall], door: [door, doorway]}')
    data = ('--dataset', 'boxes', '--root', doors, '--labels', tmp_path / 'labels.yaml')
    model = ('--model', tmp_path / 'tiny.safetensors', '--backend', 'eager', '--json', tmp_path / 's.json')
    assert run(*data, *model, '--label', 'door') == 0
    assert 'labels in the boxes' in capsys.readouterr().out
    numbers = json.loads((tmp_path / 's.json').read_text())
    assert numbers['boxes'] == 2 and sum(numbers['labels_in_boxes'].values()) == pytest.approx(1)
    with pytest.raises(ValueError, match='--label'):
        run(*data, *model)


@pytest.fixture
def answered(tiny_model, tmp_path):
    """A folder with a model, and three images whose masks are noisy answers of it."""
    save(tiny_model, tmp_path / 'tiny.safetensors', torch.float32)
    (tmp_path / 'names.txt').write_text('floor\nwall=wall|white wall\n')
    rng = np.random.default_rng(0)
    segmenter = SinglePassSegmenter(tiny_model)
    labels = segmenter.prepare(LabelRegistry(include_other=False).replace(['floor', 'wall=wall|white wall']))
    for name in 'abc':
        image = rng.integers(0, 256, (64, 96, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f'{name}.png'), image[..., ::-1])
        answer = segmenter.segment([image], labels)[0].ids - 1
        mask = np.where(rng.random(answer.shape) < 0.4, rng.integers(0, 2, answer.shape), answer)
        cv2.imwrite(str(tmp_path / f'{name}_mask.png'), mask.astype(np.uint8))
    return tmp_path


def test_the_command_calibrates_on_a_folder(answered, tiny_model, capsys):
    """Only the calibration of the copy differs; fitted again, it stays."""
    data = ('--root', answered, '--labels', answered / 'names.txt')
    once, twice = answered / 'once.safetensors', answered / 'twice.safetensors'
    assert run(answered / 'tiny.safetensors', once, *data, command=calibrate) == 0
    assert 'on 1 others' in capsys.readouterr().out
    fitted = load(once)
    assert fitted.calibration != 1.0
    assert all(torch.equal(a, b) for a, b in zip(fitted.state_dict().values(), tiny_model.state_dict().values()))
    assert run(once, twice, *data, command=calibrate) == 0
    assert load(twice).calibration == pytest.approx(fitted.calibration, rel=0.02)
    with pytest.raises(ValueError, match='already exists'):
        run(once, twice, *data, command=calibrate)


def test_another_possible_answer_makes_the_fit_less_sure(answered):
    """An untrained network takes many pixels for other, which is never right."""
    examples = open_folder(answered)
    segmenter = SinglePassSegmenter(load(answered / 'tiny.safetensors'))
    without, with_other = (
        calibration.fit_calibration(segmenter, ['floor', 'wall'], examples, other=other) for other in (False, True)
    )
    assert with_other > without


@pytest.mark.slow
def test_the_command_calibrates_on_rooms(rooms, tiny_model, tmp_path):
    """The fitted temperature is stored with the weights."""
    save(tiny_model, tmp_path / 'tiny.safetensors')
    fitted = tmp_path / 'fitted.safetensors'
    model = ('--model', tmp_path / 'tiny.safetensors', '--calibrate', fitted)
    assert run('--dataset', 'rooms', '--root', rooms, *model) == 0
    assert load(fitted).calibration != 1.0
