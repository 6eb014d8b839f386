# SPDX-License-Identifier: Apache-2.0
"""The cameras of a node and the names of their topics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# One token of a topic name, by the rules of rcl.
_TOKEN = re.compile(r'(?!.*__)[A-Za-z][A-Za-z0-9_]*')


@dataclass(frozen=True)
class Camera:
    """A camera by its name, which is empty for the only camera of a node."""

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
        if not _TOKEN.fullmatch(name):
            raise ValueError(
                f'cameras: {name!r} is not valid in a topic name: use letters, digits and '
                'single underscores, starting with a letter'
            )
        if names.count(name) > 1:
            raise ValueError(f'cameras: {name!r} is listed twice')
    return tuple(map(Camera, names))
