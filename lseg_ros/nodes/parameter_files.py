# SPDX-License-Identifier: Apache-2.0
"""Which parameter files have no section for a node: ROS passes over them in silence."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rclpy.node import Node

_CONTENT = 'ros__parameters'


def unread_files(node: Node, arguments: Sequence[str]) -> list[str]:
    """Return a sentence for each `--params-file` of the arguments without a section for `node`.

    Names of sections match as in rcl: ``*`` is any word, and ``**`` any number of them.
    """
    name = node.get_fully_qualified_name()
    files = [path for option, path in itertools.pairwise(arguments) if option == '--params-file']
    return [sentence for path in files if (sentence := _complaint(name, path))]


def _complaint(node_name: str, path: str) -> str:
    import yaml

    try:
        sections = list(_sections(yaml.safe_load(Path(path).read_text())))
    except Exception:  # rcl could read it, PyYAML cannot: such as text that is no date
        return ''
    if any(re.fullmatch(_pattern(section), node_name) for section in sections):
        return ''
    known = ', '.join(sections) or 'nothing'
    return f'{path} has no parameters for {node_name}, only for {known}: use /** as the key'


def _sections(content: object, above: str = '') -> Iterator[str]:
    """Yield the names of the nodes, or patterns of names, that have parameters."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == _CONTENT:
                yield above
            else:
                yield from _sections(value, f'{above}/{str(key).strip("/")}')


def _pattern(section: str) -> str:
    """Return the regular expression of full names that a section is for."""
    words = {'**': '(/[^/]+)*', '*': '/[^/]+'}
    return ''.join(words.get(word) or f'/{re.escape(word)}' for word in section.strip('/').split('/'))
