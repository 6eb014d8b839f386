# SPDX-License-Identifier: Apache-2.0
"""The cameras of a node and the names of their topics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# One token of a topic name, by the rules of rcl; a name has one or more of them.
_TOKEN = re.compile(r'(?!.*__)[A-Za-z][A-Za-z0-9_]*')

MASKS = 'masks'  # before the names of classes in topics


@dataclass(frozen=True)
class Camera:
    """A camera by its name, such as front or robot1/front; it is empty for a node's only camera."""

    name: str

    def input(self, topic: str) -> str:
        """Return the relative name of an input topic of this camera."""
        return f'{self.name}/{topic}' if self.name else topic

    def output(self, topic: str) -> str:
        """Return the private name of an output topic of this camera."""
        return f'~/{self.input(topic)}'


def parse_cameras(names: Sequence[str]) -> tuple[Camera, ...]:
    """Return the cameras with these names, in order, or one unnamed camera if there are none.

    Raise ValueError for a name that is not valid in a topic, is listed twice, or is empty while
    there are several cameras.
    """
    names = tuple(names) or ('',)
    for name in names if names != ('',) else ():
        if not name:
            raise ValueError('cameras: a name is empty; with several cameras, each needs one')
        first, *others = name.split('/')
        if not all(map(_TOKEN.fullmatch, (first, *others))):
            raise ValueError(
                f'cameras: {name!r} is not valid in a topic name: use letters, digits and '
                'single underscores, starting with a letter, with slashes between words'
            )
        if MASKS in others:  # it could be the mask of another camera
            raise ValueError(f'cameras: {name!r} has {MASKS!r} after a slash, where masks are published')
        if names.count(name) > 1:
            raise ValueError(f'cameras: {name!r} is listed twice')
    return tuple(map(Camera, names))
