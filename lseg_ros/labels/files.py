# SPDX-License-Identifier: Apache-2.0
"""Reads label files: shipped ones by name, the user's by path."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from lseg_ros.labels.ids import MAX_LABELS
from lseg_ros.labels.syntax import MAX_GROUPS, PROMPT_LIMIT, PROMPTS_PER_LABEL, LabelError, parse_group, quote
from lseg_ros.shared_files import find_shared

MAX_BYTES = 1 << 20  # parsing a large YAML file takes minutes


def shipped_label_files() -> dict[str, Path]:
    """Return the label files in config/labels by name: `indoor`, `ade20k` ..."""
    folder = find_shared('config/labels')
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob('*.yaml'))}


def find_label_file(name_or_path: str | Path) -> Path:
    """Return the path of a shipped file from its name; return any other path unchanged.

    A shipped name wins over a file of that name in the working directory: write ./NAME for that.
    Raise LabelError for a name without a file. A path need not exist.
    """
    name = str(name_or_path)
    shipped = shipped_label_files()
    if name in shipped:
        return shipped[name]
    path = Path(name).expanduser()
    if path.suffix or len(path.parts) > 1 or path.is_file():
        return path
    close = difflib.get_close_matches(path.name, shipped, n=1)
    hint = f'; did you mean {close[0]!r}?' if close else ''
    raise LabelError(
        f'no label file {quote(name)}: use one of {", ".join(shipped) or "none"}, or the path of a file{hint}'
    )


@dataclass(frozen=True)
class LabelFile:
    """The contents of a label file: labels as ``name=prompt|prompt``, and members of groups."""

    labels: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]  # by normalised name


def read_label_file(name_or_path: str | Path) -> LabelFile:
    """Read a YAML label file, see `find_label_file`; `LabelRegistry` checks the labels.

    The file has, at the top level or under the key `labels`, a list of ``name=prompt|prompt``
    strings or a mapping from names to prompts (a text, a list of texts, or nothing). Next to
    `labels` it may have `groups`, a mapping from names of groups to lists of labels.
    Raise OSError if the file cannot be read, LabelError if it has other content.
    """
    path = find_label_file(name_or_path)
    with path.open('rb') as file:
        return parse_label_file(file.read(MAX_BYTES + 1), path)


def parse_label_file(data: bytes, path: PurePath) -> LabelFile:
    """Parse the content of a label file, see `read_label_file`; messages name it by its `path`."""
    import yaml

    if len(data) > MAX_BYTES:
        raise LabelError(f'{path} is not a label file: it has more than {MAX_BYTES >> 20} MB')
    try:
        content = yaml.safe_load(data.decode('utf-8'))
    except Exception as error:  # PyYAML's own for text that is no date or number, such as 2001-99-99
        raise LabelError(f'{path} is not a YAML label file: {quote(str(error), 120)}') from error
    groups = None
    if isinstance(content, dict) and 'labels' in content:
        content, groups = content['labels'], content.get('groups')
    return LabelFile(_labels(content, path), _groups(groups, path))


def _labels(content: object, path: PurePath) -> tuple[str, ...]:
    if not isinstance(content, dict | list):
        raise LabelError(f'{path} holds no labels: write a list, or name: [prompt, prompt] lines')
    if len(content) > MAX_LABELS + 1:  # and `other`
        raise LabelError(f'{path} holds {len(content)} labels; at most {MAX_LABELS}')
    if isinstance(content, dict):
        return tuple(_spec(name, prompts) for name, prompts in content.items())
    for text in content:
        if not isinstance(text, str):
            raise LabelError(f'{path}: label {quote(text)} is not text: quote it')
    return tuple(content)


def _groups(content: object, path: PurePath) -> dict[str, tuple[str, ...]]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise LabelError(f'{path}: groups must be name: [label, label] lines')
    if len(content) > MAX_GROUPS:
        raise LabelError(f'{path} holds {len(content)} groups; at most {MAX_GROUPS}')
    groups: dict[str, tuple[str, ...]] = {}
    for name, members in content.items():
        if not isinstance(members, list) or not all(isinstance(text, str) for text in (name, *members)):
            raise LabelError(f'{path}: group {quote(name)} must be a list of names of labels')
        if len(members) > MAX_LABELS:
            raise LabelError(f'{path}: group {quote(name)} has {len(members)} members; at most {MAX_LABELS}')
        if (group := parse_group(name)) in groups:
            raise LabelError(f'{path}: group {quote(group)} is listed twice')
        groups[group] = tuple(members)
    return groups


def _spec(name: object, prompts: object) -> str:
    texts = [prompts] if isinstance(prompts, str) else [name] if prompts is None else prompts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in (name, *texts)):
        raise LabelError(f'label {quote(name)} has a name or prompt that is not text: quote it')
    # Aliases repeat a text for two bytes: joined unchecked, a small file would fill the memory.
    if len(texts) > PROMPTS_PER_LABEL:
        raise LabelError(f'label {quote(name)} has {len(texts)} prompts; at most {PROMPTS_PER_LABEL}')
    if max(map(len, texts), default=0) > 4 * PROMPT_LIMIT:
        raise LabelError(f'label {quote(name)} has a prompt of more than {PROMPT_LIMIT} characters')
    return f'{name}={"|".join(texts)}'
