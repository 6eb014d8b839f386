# SPDX-License-Identifier: Apache-2.0
"""Names of the training classes, and the broader names that also match them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml

OTHER = 'other'


@dataclass(frozen=True)
class Concept:
    """One meaning: its training names, synonyms reserved for testing, and broader concepts."""

    name: str
    names: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The concepts by name, the classes excluded from training, and typical label sets."""

    concepts: Mapping[str, Concept]
    left_out: frozenset[str]
    label_sets: tuple[tuple[str, ...], ...]

    def concept(self, name: str) -> Concept:
        """Return the concept called `name`; a name that is not listed stands for itself alone."""
        return self.concepts.get(name) or Concept(name, (name,))

    def known(self, classes: Collection[str]) -> tuple[str, ...]:
        """Return every name a question on `classes` may use, including broader ones, sorted."""
        found: set[str] = set()
        pending = set(classes) - self.left_out
        while pending:
            found |= pending
            pending = {b for name in pending for b in self.concept(name).broader} - found
        return tuple(sorted(found))

    def broader_names(self, name: str) -> frozenset[str]:
        """Return the broader names of all levels above `name`."""
        direct = self.concept(name).broader
        return frozenset(direct).union(*(self.broader_names(above) for above in direct))

    def answers(self, name: str, asked: Collection[str]) -> tuple[str, ...]:
        """Return the asked names that are right for an object called `name`.

        These are its own name if asked, else the asked names of the nearest broader level, else
        `other` if asked, else nothing, because then no answer is right.
        """
        if name in self.left_out:
            return ()
        level: tuple[str, ...] = (name,)
        seen: set[str] = set()
        while level:
            right = tuple(n for n in level if n in asked)
            if right:
                return right
            seen.update(level)
            above = (b for n in level for b in self.concept(n).broader)
            level = tuple(dict.fromkeys(b for b in above if b not in seen))
        return (OTHER,) if OTHER in asked else ()


def load_vocabulary(path: str | Path | None = None) -> Vocabulary:
    """Read a vocabulary file; by default the one in the package.

    Raise FileNotFoundError if the file does not exist, ValueError if a text names two concepts or
    a held-out name is used in training.
    """
    file = Path(path) if path else resources.files(__package__) / 'vocabulary.yaml'
    content = yaml.safe_load(file.read_text(encoding='utf-8'))
    concepts = {
        name: Concept(name, *(tuple((entry or {}).get(key, ())) for key in ('names', 'held_out', 'broader')))
        for name, entry in content['concepts'].items()
    }
    _check(concepts)
    label_sets = tuple(tuple(names) for names in content.get('label_sets', ()))
    return Vocabulary(concepts, frozenset(content.get('left_out', ())), label_sets)


def _check(concepts: Mapping[str, Concept]) -> None:
    owner: dict[str, str] = {OTHER: OTHER}
    for concept in concepts.values():
        if not concept.names:
            raise ValueError(f"vocabulary: '{concept.name}' has no training names")
        for text in concept.names:
            if owner.setdefault(text, concept.name) != concept.name:
                raise ValueError(
                    f"vocabulary: '{text}' names both '{owner[text]}' and '{concept.name}'; remove it from one of them"
                )
    for concept in concepts.values():
        for text in concept.held_out:
            if text in owner:
                raise ValueError(f"vocabulary: '{text}' is held out for '{concept.name}' but used in training")
