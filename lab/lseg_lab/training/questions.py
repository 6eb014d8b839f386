# SPDX-License-Identifier: Apache-2.0
"""Draw the label set to ask of a training image, and which labels are right for which class.

LSeg (Li et al., arXiv 2201.03546) asks the same label set of every image. Here each image gets its
own, as users choose their own: specific names, typical robot label sets, or broad names only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lseg_lab.training.vocabulary import OTHER, Vocabulary


@dataclass(frozen=True)
class Question:
    """The label set asked of one image.

    Attributes:
        texts: int64 [K], rows of `QuestionSampler.texts`, one for each label.
        accepted: bool [C, K], whether label k is a right answer for class c. Classes without a
            right answer are not trained on.
    """

    texts: np.ndarray
    accepted: np.ndarray


class QuestionSampler:
    """Draws label sets for the classes of a data set."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        classes: Sequence[str],
        *,
        coarse: float = 0.25,
        other: float = 0.3,
        hide: float = 0.2,
    ) -> None:
        """Prepare the texts.

        Args:
            vocabulary: names and broader names of the classes.
            classes: the data set's class names; mask index c means classes[c].
            coarse: share of questions that ask a typical label set or a random mixture of
                names instead of the specific names of what the image shows.
            other: share of specific questions that also ask `other`.
            hide: share of present classes that such a question leaves to `other`.
        """
        self.vocabulary, self.classes = vocabulary, tuple(classes)
        self.coarse, self.other, self.hide = coarse, other, hide
        self.names = vocabulary.known(classes)
        self.fine = tuple(c for c in self.classes if c not in vocabulary.left_out)
        spoken = {t for name in self.names for t in vocabulary.concept(name).names} | {OTHER}
        self.texts = tuple(sorted(spoken))
        self._row = {text: row for row, text in enumerate(self.texts)}

    def sample(self, present: Sequence[int], rng: np.random.Generator, *, exact: bool = True) -> Question:
        """Draw a question for an image that shows the classes with indices `present`.

        Unless the labels are `exact`, names narrower than those of the classes shown are not asked,
        because they may be right as well.
        """
        kind = rng.random()
        shown = [self.classes[c] for c in present]
        if kind >= self.coarse:
            asked = self._fine_names(shown, rng)
        elif kind < 0.6 * self.coarse and self.vocabulary.label_sets:
            asked = self._label_set(rng)
        else:
            asked = self._some(self.names, int(rng.integers(2, 40)), rng)
            asked += [OTHER] if rng.random() < 0.5 else []
        if not exact:
            above = self.vocabulary.broader_names
            asked = [n for n in asked if n in shown or above(n).isdisjoint(shown)] or [OTHER]
        return self.ask(asked, rng)

    def ask(self, asked: Sequence[str], rng: np.random.Generator) -> Question:
        """Return the question with these names, each as one of its training texts."""
        column = {name: k for k, name in enumerate(dict.fromkeys(asked))}
        accepted = np.zeros((len(self.classes), len(column)), bool)
        for c, name in enumerate(self.classes):
            for answer in self.vocabulary.answers(name, column):
                accepted[c, column[answer]] = True
        texts = [self._row[self._text(name, rng)] for name in column]
        return Question(np.array(texts, np.int64), accepted)

    def _text(self, name: str, rng: np.random.Generator) -> str:
        if name == OTHER:
            return OTHER
        names = self.vocabulary.concept(name).names
        return names[rng.integers(len(names))]

    def _fine_names(self, present: Sequence[str], rng: np.random.Generator) -> list[str]:
        """Return the classes shown plus random wrong ones, sometimes leaving some to `other`."""
        trained = [name for name in present if name not in self.vocabulary.left_out]
        other = rng.random() < self.other
        shown = [name for name in trained if not (other and rng.random() < self.hide)]
        absent = [name for name in self.fine if name not in present]
        wrong = self._some(absent, int(rng.integers(5, len(absent) + 6)), rng)
        return shown + wrong + ([OTHER] if other or not (shown or wrong) else [])

    def _label_set(self, rng: np.random.Generator) -> list[str]:
        """Return a typical label set with some names dropped and some added."""
        sets = self.vocabulary.label_sets
        # names that no class of the data can match would always be wrong
        names = [name for name in sets[rng.integers(len(sets))] if name in self.names]
        kept = [name for name in names if rng.random() < 0.88]
        added = self._some(self.names, int(rng.integers(0, 5)), rng)
        return (kept + added + ([OTHER] if rng.random() < 0.5 else [])) or [OTHER]

    @staticmethod
    def _some(names: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
        return [names[i] for i in rng.permutation(len(names))[:count]]
