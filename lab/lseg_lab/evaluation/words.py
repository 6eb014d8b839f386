# SPDX-License-Identifier: Apache-2.0
"""Score each name of a vocabulary by itself, added to a list of labels as a user would add it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from lseg_lab.evaluation.rendered import spread
from lseg_lab.evaluation.word_scores import HELD_OUT, LEFT_OUT, TRAINED, Word, WordCounts, WordScores
from lseg_lab.training.dataset import LabelledFolder
from lseg_lab.training.vocabulary import Vocabulary
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.labels.syntax import parse_labels

ASKED = 'the word asked'  # name of the label that is added


@dataclass(frozen=True)
class Question:
    """A word and the labels among which it is asked.

    Attributes:
        labels: all labels, and the one whose only prompt is the word.
        id: of this label.
        truth: uint8 per class of the images: 1 for those that the word stands for, 0 for those
            that it does not, 255 for those that are not counted.
    """

    labels: LabelSet
    id: int
    truth: np.ndarray


def vocabulary_words(vocabulary: Vocabulary, classes: Sequence[str]) -> tuple[Word, ...]:
    """Return all names of the vocabulary, and of the classes that it does not list."""
    words: dict[str, Word] = {}
    for name in dict.fromkeys([*vocabulary.concepts, *classes]):
        concept = vocabulary.concept(name)
        for group, texts in ((TRAINED, concept.names), (HELD_OUT, concept.held_out)):
            group = LEFT_OUT if name in vocabulary.left_out else group
            words |= {text: Word(text, name, group) for text in texts}
    return tuple(words.values())


class WordQuestions:
    """Asks single words of a vocabulary beside a list of labels."""

    def __init__(
        self, labels: Sequence[str], vocabulary: Vocabulary, classes: Sequence[str], *, other: bool = False
    ) -> None:
        """Take labels (`name` or `name=prompt|prompt`) and the class names of the images."""
        self._labels, self._other = parse_labels(labels), other
        self._vocabulary, self._classes = vocabulary, tuple(classes)
        self.words = vocabulary_words(vocabulary, classes)
        self._meaning = {word.text: word.concept for word in self.words}

    def ask(self, word: Word) -> Question:
        """Return the question with `word`.

        A label with a prompt of the same class leaves this class, and narrower ones among its
        prompts, to the word. All other prompts stay as rivals.
        """
        left = [(name, self._left_by(word.concept, prompts)) for name, prompts in self._labels]
        texts = [f'{name}={"|".join(prompts)}' for name, prompts in left if prompts]
        labels = LabelRegistry(include_other=self._other).replace([*texts, f'{ASKED}={word.text}'])
        meant = {self._meaning[prompt] for prompt in labels.prompts if prompt in self._meaning}
        (asked,) = (label.id for label in labels.classes if label.name == ASKED)
        values = [self._truth(name, word.concept, meant) for name in self._classes]
        return Question(labels, asked, np.array(values, np.uint8))

    def _left_by(self, concept: str, prompts: Sequence[str]) -> list[str]:
        meanings = [self._meaning.get(prompt, '') for prompt in prompts]
        if concept not in meanings:
            return list(prompts)
        kept = (m != concept and concept not in self._vocabulary.broader_names(m) for m in meanings)
        return [prompt for prompt, keep in zip(prompts, kept) if keep]

    def _truth(self, name: str, concept: str, asked: Collection[str]) -> int:
        """Return the value of class `name` if `concept` is among the concepts that are asked."""
        if name == concept:
            return 1
        if name in self._vocabulary.left_out:  # never taught under a broader name either
            return UNLABELLED if concept in self._vocabulary.broader_names(name) else 0
        right = self._vocabulary.answers(name, asked)
        if concept not in right:
            return 0
        return 1 if len(right) == 1 else UNLABELLED


def score_words(
    segmenter: Segmenter,
    folder: LabelledFolder,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    *,
    limit: int = 400,
    other: bool = False,
) -> WordScores:
    """Score every name of the vocabulary, each added to `labels` by itself.

    Pixels are pooled over at most `limit` images, spread evenly over the folder. With `other`, the
    label for "none of these" is asked as well.
    """
    asking = WordQuestions(labels, vocabulary, folder.classes, other=other)
    questions = [asking.ask(word) for word in asking.words]
    answers = _Answers(segmenter, questions)
    counts = WordCounts(len(questions), len(folder.classes))
    for index in tqdm(spread(folder, limit), 'asking words', unit='image', leave=False):
        image, mask = folder.read(index)
        counts.add_image(mask)
        for number, ids in answers.of(image):
            counts.add_answer(number, mask[ids == questions[number].id])
    return counts.scores(asking.words, [question.truth for question in questions])


class _Answers:
    """Answers many questions on an image from one pass through the network."""

    def __init__(self, segmenter: Segmenter, questions: Sequence[Question]) -> None:
        self._segmenter, self._questions = segmenter, questions
        texts = tuple(dict.fromkeys(prompt for question in questions for prompt in question.labels.prompts))
        row = {text: number for number, text in enumerate(texts)}
        self._text = segmenter.model.encode_text(texts)
        self._rows = [torch.tensor([row[prompt] for prompt in question.labels.prompts]) for question in questions]
        # The word comes last, after its rivals, which many words share.
        self._rivals: dict[tuple[int, ...], list[int]] = {}
        for number, rows in enumerate(self._rows):
            self._rivals.setdefault(tuple(rows[:-1].tolist()), []).append(number)

    def of(self, image: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number and the ids, uint8 [H, W], of each question whose word is answered.

        A word that wins no cell of the network's grid wins no pixel: see `lseg_ros.core.decision`.
        """
        logits, geometry = self._segmenter.compare(image, self._text)
        for rivals, numbers in self._rivals.items():
            words = torch.stack([self._rows[number][-1] for number in numbers])
            highest = logits[list(rivals)].amax(0) if rivals else torch.full_like(logits[0], -torch.inf)
            wins = (logits[words] >= highest).flatten(1).any(1).tolist()
            for number in (number for number, won in zip(numbers, wins) if won):
                question = self._questions[number]
                yield number, self._segmenter.segment_logits(logits[self._rows[number]], geometry, question.labels).ids
