# SPDX-License-Identifier: Apache-2.0
"""The cameras of a node: their names, and where their topics lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# One token of a topic name, as rcl's rules have it.
_TOKEN = re.compile(r'(?!.*__)[A-Za-z][A-Za-z0-9_]*')


@dataclass(frozen=True)
class Camera:
    """A camera by its name; the only camera of a node may have none, the empty string."""

    name: str

    def input(self, topic: str) -> str:
        """Return the relative name under which this camera's `topic` is subscribed to."""
        return f'{self.name}/{topic}' if self.name else topic

    def output(self, topic: str) -> str:
        """Return the private name under which this camera's `topic` is published."""
        return f'~/{self.input(topic)}'


def parse_cameras(names: Sequence[str]) -> tuple[Camera, ...]:
    """Return the cameras of these names, in their order; no names mean one camera without.

    Raises ValueError, with the name at fault, when a name cannot stand in a topic, comes twice, or
    is empty while there are others.
    """
    names = tuple(names) or ('',)
    for name in names if names != ('',) else ():
        if not name:
            raise ValueError('cameras: a name is empty; with several cameras each needs one')
        if not _TOKEN.fullmatch(name):
            raise ValueError(
                f'cameras: {name!r} cannot stand in a topic; use letters, digits and '
                'single underscores, a letter first'
            )
        if names.count(name) > 1:
            raise ValueError(f'cameras: {name!r} is listed twice')
    return tuple(map(Camera, names))
