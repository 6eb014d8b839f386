# SPDX-License-Identifier: Apache-2.0
"""Scores of single words: what they compete with, what is right, and the answers of the node."""

import argparse
import json

import cv2
import numpy as np
import pytest

from lseg_lab.commands import evaluate
from lseg_lab.evaluation.rendered import room_examples
from lseg_lab.evaluation.word_scores import HELD_OUT, LEFT_OUT, TRAINED, Word, WordCounts
from lseg_lab.evaluation.words import WordQuestions
from lseg_lab.training.dataset import open_folders
from lseg_lab.training.vocabulary import load_vocabulary
from lseg_ros.model import save

VOCABULARY = """
concepts:
  floor: {names: [floor, ground], held_out: [soil]}
  furniture: {names: [furniture]}
  chair: {names: [chair], broader: [furniture]}
  sofa: {names: [sofa], broader: [furniture]}
  armchair: {names: [armchair, lounge chair], held_out: [easy chair], broader: [chair, sofa]}
  stool: {names: [stool], broader: [chair]}
  crib: {names: [crib], broader: [furniture]}
left_out: [crib]
"""
CLASSES = ('floor', 'chair', 'sofa', 'armchair', 'stool', 'crib', 'vase')
LABELS = ('floor', 'chair=chair|stool|throne', 'furniture')


@pytest.fixture
def vocabulary(tmp_path):
    """A small vocabulary."""
    (tmp_path / 'vocabulary.yaml').write_text(VOCABULARY)
    return tmp_path / 'vocabulary.yaml'


@pytest.mark.parametrize(
    'word, rivals, right, uncounted',
    [
        ('vase', ['floor', 'chair', 'stool', 'throne', 'furniture'], ['vase'], []),
        ('ground', ['chair', 'stool', 'throne', 'furniture'], ['floor'], []),
        ('soil', ['chair', 'stool', 'throne', 'furniture'], ['floor'], []),
        ('stool', ['floor', 'chair', 'throne', 'furniture'], ['stool'], []),
        # the label leaves its narrower prompts to the word, which then stands for them
        ('chair', ['floor', 'throne', 'furniture'], ['chair', 'armchair', 'stool'], []),
        # an armchair is a chair as well, which the list still asks for
        ('sofa', ['floor', 'chair', 'stool', 'throne', 'furniture'], ['sofa'], ['armchair']),
        # what other labels name is not the word's; a class that was never taught is no false alarm
        ('furniture', ['floor', 'chair', 'stool', 'throne'], ['sofa'], ['crib']),
        ('crib', ['floor', 'chair', 'stool', 'throne', 'furniture'], ['crib'], []),
    ],
)
def test_a_word_is_asked_among_the_labels_that_a_user_would_keep(vocabulary, word, rivals, right, uncounted):
    """Prompts for the same class go; all others stay, and pixels count under the nearest name."""
    asking = WordQuestions(LABELS, load_vocabulary(vocabulary), CLASSES)
    question = asking.ask(next(each for each in asking.words if each.text == word))
    assert question.labels.prompts == (*rivals, word)
    assert question.labels.by_id(question.id).prompts == (word,)
    assert [name for name, value in zip(CLASSES, question.truth) if value == 1] == right
    assert [name for name, value in zip(CLASSES, question.truth) if value == 255] == uncounted


def test_words_are_told_apart_by_what_training_saw(vocabulary):
    """Names, synonyms that were held out, classes that were left out, and classes not listed."""
    words = {word.text: word for word in WordQuestions(LABELS, load_vocabulary(vocabulary), CLASSES).words}
    assert words['lounge chair'] == Word('lounge chair', 'armchair', TRAINED)
    assert words['easy chair'].group == HELD_OUT
    assert words['crib'].group == LEFT_OUT
    assert words['vase'] == Word('vase', 'vase', TRAINED)


def test_pixels_are_pooled_and_words_that_few_images_show_are_not_measured():
    """Of 300 true pixels 90 are right, 60 others are wrong, and those of class 2 do not count."""
    counts = WordCounts(words=2, classes=3)
    for _ in range(3):
        counts.add_image(np.repeat(np.array([0, 1, 2, 255], np.uint8), 100))
        counts.add_answer(0, np.repeat(np.array([0, 1, 2, 255], np.uint8), [30, 20, 50, 10]))
    counts.add_image(np.full(400, 1, np.uint8))
    truths = [np.array([1, 0, 255], np.uint8), np.array([0, 0, 0], np.uint8)]
    scores = counts.scores([Word('a', 'a', TRAINED), Word('b', 'b', TRAINED)], truths)
    (a,) = scores.of(TRAINED)
    assert (a.iou, a.precision, a.recall, a.images) == pytest.approx((90 / 360, 90 / 150, 90 / 300, 3))
    assert scores.summary()[TRAINED]['words'] == 2 and scores.summary()[TRAINED]['found_words'] == 1
    assert 'not measured, as fewer than 3 images show them: b' in scores.table()
    assert scores.as_json()['words']['b']['iou'] is None


@pytest.fixture
def views(tmp_path):
    """Two folders with two noisy images each, in different orders of the classes."""
    rng = np.random.default_rng(0)
    for number, classes in enumerate((['floor', 'chair', 'armchair'], ['armchair', 'floor', 'chair'])):
        root = tmp_path / f'views{number}'
        root.mkdir()
        (root / 'dataset.json').write_text(json.dumps({'classes': classes}))
        for name in 'ab':
            blocks = rng.integers(0, 256, (8, 12, 3), np.uint8)
            cv2.imwrite(str(root / f'{name}.jpg'), cv2.resize(blocks, (96, 64), interpolation=cv2.INTER_NEAREST))
            mask = rng.integers(0, 3, (8, 12), np.uint8)
            cv2.imwrite(str(root / f'{name}.mask.png'), cv2.resize(mask, (96, 64), interpolation=cv2.INTER_NEAREST))
    return tmp_path / 'views0', tmp_path / 'views1'


def run(*arguments):
    """Run `lseg evaluate --dataset rooms`."""
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args(['--dataset', 'rooms', *map(str, arguments)]))


def test_a_word_scores_as_if_a_label_file_listed_it(views, vocabulary, tiny_model, tmp_path, capsys):
    """The answers are those that the node gives with such a file."""
    save(tiny_model, tmp_path / 'tiny.safetensors')
    (tmp_path / 'two.yaml').write_text('labels: {floor: [floor, tiles], chair: [chair, seat]}')
    data = ('--root', *views, '--vocabulary', vocabulary, '--model', tmp_path / 'tiny.safetensors')
    options = ('--backend', 'eager', '--json', tmp_path / 's.json')
    assert run(*data, *options, '--labels', tmp_path / 'two.yaml', '--words') == 0
    assert 'IoU>=0.1' in capsys.readouterr().out
    words = json.loads((tmp_path / 's.json').read_text())['words']
    for word in ('armchair', 'lounge chair', 'easy chair'):
        text = f'labels: {{floor: [floor, tiles], chair: [chair, seat], armchair: [{word}]}}'
        (tmp_path / 'three.yaml').write_text(text)
        assert run(*data, *options, '--labels', tmp_path / 'three.yaml') == 0
        (numbers,) = json.loads((tmp_path / 's.json').read_text()).values()
        assert 0 < words[word]['iou'] == pytest.approx(numbers['iou']['armchair'])
        assert 0 < words[word]['recall'] < 1
        assert words[word]['recall'] == pytest.approx(numbers['errors']['armchair']['recall'])


@pytest.mark.parametrize('arguments', [('--words',), ('--words', '--labels', 'a', '--calibrate', 'b')])
def test_words_need_labels_and_exclude_calibration(arguments):
    """The message names the options."""
    with pytest.raises(ValueError, match='--words'):
        run('--root', 'views', *arguments)


def test_limit_below_one_image_is_refused(views, vocabulary):
    """The message says the number."""
    folder, words = open_folders(views), load_vocabulary(vocabulary)
    with pytest.raises(ValueError, match='at least 1 image, not 0'):
        room_examples(folder, words, ['floor'], limit=0)


def test_only_rooms_take_several_folders():
    """The message says how many there are."""
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    arguments = ['--dataset', 'folder', '--root', 'a', 'b', '--labels', 'names.txt']
    with pytest.raises(ValueError, match='one folder as --root, not 2'):
        evaluate.run(parser.parse_args(arguments))
