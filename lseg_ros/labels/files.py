# SPDX-License-Identifier: Apache-2.0
"""Label files: those that are shipped, found by name, and those of the user, by path."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lseg_ros.labels.syntax import LabelError, quote
from lseg_ros.shared_files import find_shared


def shipped_label_files() -> dict[str, Path]:
    """Return the label files that come with the package, by name: `indoor`, `ade20k` ...

    They lie in config/labels of the checkout or of the installed share directory.
    """
    folder = find_shared('config/labels')
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob('*.yaml'))}


def find_label_file(name_or_path: str | Path) -> Path:
    """Return the path of a shipped file for its plain name, and any other path as it is.

    Raises LabelError for a plain name that no shipped file has; whether a path exists is not
    looked at.
    """
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1 or path.exists():
        return path.expanduser()
    shipped = shipped_label_files()
    if path.name in shipped:
        return shipped[path.name]
    close = difflib.get_close_matches(path.name, shipped, n=1)
    hint = f'; did you mean {close[0]!r}?' if close else ''
    raise LabelError(
        f'no label file {quote(str(name_or_path))} is shipped: use one of '
        f'{", ".join(shipped) or "none"}, or the path of a file{hint}'
    )


@dataclass(frozen=True)
class LabelFile:
    """What a label file holds: labels as ``name=prompt|prompt``, and the members of groups."""

    labels: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]


def read_label_file(name_or_path: str | Path) -> LabelFile:
    """Read a YAML label file; `name_or_path` is as for `find_label_file`.

    The file holds, under the key `labels` or at the top, a list of ``name=prompt|prompt`` strings
    or a mapping from name to prompts (one text, a list of texts, or nothing).  Beside `labels` it
    may have `groups`, a mapping from the name of a group to the list of its members' names.
    Whether the labels can be used is for `LabelRegistry` to say.  Raises OSError when the file
    cannot be read, LabelError when its content is something else.
    """
    import yaml

    path = find_label_file(name_or_path)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabelError(f'{path} is not a YAML label file: {quote(str(error), 120)}') from error
    groups = None
    if isinstance(content, dict) and 'labels' in content:
        content, groups = content['labels'], content.get('groups')
    return LabelFile(_labels(content, path), _groups(groups, path))


def _labels(content: object, path: Path) -> tuple[str, ...]:
    if isinstance(content, dict):
        return tuple(_spec(name, prompts) for name, prompts in content.items())
    if isinstance(content, list):
        return tuple(content)
    raise LabelError(f'{path} holds no labels: want a list, or name: [prompt, prompt] lines')


def _groups(content: object, path: Path) -> dict[str, tuple[str, ...]]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise LabelError(f'{path}: groups must be name: [label, label] lines')
    for name, members in content.items():
        if not isinstance(members, list) or not all(
            isinstance(text, str) for text in (name, *members)
        ):
            raise LabelError(f'{path}: group {quote(name)} must be a list of names of labels')
    return {name: tuple(members) for name, members in content.items()}


def _spec(name: object, prompts: object) -> str:
    texts = [name if prompts is None else prompts] if not isinstance(prompts, list) else prompts
    if not all(isinstance(text, str) for text in (name, *texts)):
        raise LabelError(f'label {quote(name)} is not text throughout; put its words in quotes')
    return f'{name}={"|".join(texts)}'
