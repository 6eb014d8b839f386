# SPDX-License-Identifier: Apache-2.0
"""Counts of the pixels answered with single words, and the scores computed from them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lseg_ros.labels.ids import UNLABELLED

TRAINED, HELD_OUT, LEFT_OUT = 'trained', 'held_out', 'left_out'
TITLES = {
    TRAINED: 'names used in training',
    HELD_OUT: 'synonyms never used in training',
    LEFT_OUT: 'names of classes left out of training',
}
FOUND = 0.1  # IoU from which on a word counts as found
SHOWN = 100  # pixels from which on an image shows a word
ENOUGH = 3  # images that show a word from which on it is measured


@dataclass(frozen=True)
class Word:
    """A name of a class, and which of TITLES it belongs to."""

    text: str
    concept: str
    group: str


@dataclass(frozen=True)
class WordScore:
    """The scores of one word; `images` show at least SHOWN pixels of what it stands for."""

    word: Word
    iou: float
    precision: float
    recall: float
    images: int

    @property
    def measured(self) -> bool:
        """Whether enough images show what the word stands for."""
        return self.images >= ENOUGH

    @property
    def found(self) -> bool:
        """Whether the word is measured and counts as found."""
        return self.measured and self.iou >= FOUND


@dataclass(frozen=True)
class WordScores:
    """The scores of all words, over this number of images."""

    scores: tuple[WordScore, ...]
    images: int

    def of(self, group: str) -> list[WordScore]:
        """Return the measured words of one of TITLES, best first."""
        measured = [score for score in self.scores if score.word.group == group and score.measured]
        return sorted(measured, key=lambda score: -score.iou)

    def summary(self) -> dict[str, dict[str, int]]:
        """Return how many words and classes there are, are measured and are found, by group."""
        rows = {}
        for group in TITLES:
            words = [score for score in self.scores if score.word.group == group]
            parts = {
                '': words,
                'measured_': [score for score in words if score.measured],
                'found_': [score for score in words if score.found],
            }
            rows[group] = {f'{part}words': len(some) for part, some in parts.items()} | {
                f'{part}classes': len({score.word.concept for score in some}) for part, some in parts.items()
            }
        return rows

    def table(self) -> str:
        """Return the words of each group, best first, and how many are found."""
        lines = []
        for group, title in TITLES.items():
            lines.append(f'{title:<40}{"class":<22}{"IoU":>6}{"precision":>11}{"recall":>8}{"images":>8}')
            lines += [
                f'  {score.word.text:<38}{score.word.concept:<22}{score.iou:>6.3f}'
                f'{score.precision:>11.3f}{score.recall:>8.3f}{score.images:>8}'
                for score in self.of(group)
            ]
            missing = [s.word.text for s in self.scores if s.word.group == group and not s.measured]
            if missing:
                text = f'not measured, as fewer than {ENOUGH} images show them: {", ".join(missing)}'
                lines.append(textwrap.fill(text, 95, initial_indent='  ', subsequent_indent='    '))
            lines.append('')
        lines.append(f'of {self.images} images{"words":>12}{"measured":>10}{f"IoU>={FOUND}":>10}{"classes":>10}')
        for group, row in self.summary().items():
            lines.append(
                f'{group:<18}{row["words"]:>8}{row["measured_words"]:>10}'
                f'{row["found_words"]:>10}{row["found_classes"]:>10}'
            )
        return '\n'.join(lines)

    def as_json(self) -> Mapping[str, object]:
        """Return plain numbers for JSON; scores that are not defined are null."""
        words = {
            score.word.text: {
                'class': score.word.concept,
                'group': score.word.group,
                'images': score.images,
                'measured': score.measured,
                **{name: _number(getattr(score, name)) for name in ('iou', 'precision', 'recall')},
            }
            for score in self.scores
        }
        return {'images': self.images, 'summary': self.summary(), 'words': words}


class WordCounts:
    """Pixels by class: those in each image, and those answered with each word."""

    def __init__(self, words: int, classes: int) -> None:
        """Start from zero."""
        self._classes = classes
        self._images: list[np.ndarray] = []
        self._answered = np.zeros((words, classes), np.int64)

    def add_image(self, mask: np.ndarray) -> None:
        """Add the true classes of an image, uint8 [H, W]."""
        self._images.append(self._count(mask))

    def add_answer(self, word: int, pixels: np.ndarray) -> None:
        """Add the true classes, uint8 [N], of an image's pixels that were answered with a word."""
        self._answered[word] += self._count(pixels)

    def scores(self, words: Sequence[Word], truths: Sequence[np.ndarray]) -> WordScores:
        """Return the scores of all words.

        `truths` are uint8 [classes], one per word: 1 for the classes that the word stands for, 0
        for others, and 255 for those that are not counted.
        """
        images = np.stack(self._images)
        scored = zip(words, truths, self._answered)
        return WordScores(tuple(_score(*each, images) for each in scored), len(images))

    def _count(self, pixels: np.ndarray) -> np.ndarray:
        return np.bincount(pixels.ravel(), minlength=UNLABELLED + 1)[: self._classes]


def _score(word: Word, truth: np.ndarray, answered: np.ndarray, images: np.ndarray) -> WordScore:
    """Score a word by the pixels of each class: int64 [classes], and [images, classes] in all."""
    shown = images[:, truth == 1].sum(1)
    right, wrong, true = answered[truth == 1].sum(), answered[truth == 0].sum(), shown.sum()
    return WordScore(
        word,
        _ratio(right, true + wrong),
        _ratio(right, right + wrong),
        _ratio(right, true),
        int((shown >= SHOWN).sum()),
    )


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float('nan')


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
