# SPDX-License-Identifier: Apache-2.0
"""Parses labels, written ``name`` or ``name=prompt|prompt``, and derives their topic names.

The *name* identifies the class on every topic; the *prompts* are the texts that the network
compares pixels with.
"""

from __future__ import annotations

import hashlib
import re
import reprlib
import unicodedata
from collections.abc import Sequence

from lseg_ros.labels.ids import MAX_LABELS, UNLABELLED

OTHER_NAME = 'other'
TRAVERSABLE_GROUP = 'traversable'  # the floor of a map
EVERY_OTHER_GROUP = '*'  # in a change of groups: all that it does not name
NAME_LIMIT = 64
PROMPT_LIMIT = 256
PROMPTS_PER_LABEL = 32
MAX_GROUPS = 254  # each has a topic
TOPIC_LIMIT = 80

_RESERVED_NAMES = frozenset({'unlabelled', 'unlabeled'})
_LABEL_FORM, _GROUP_FORM = 'name=prompt|prompt', 'group=label|label'
_WITHOUT = 'choose a name without it'
# Several scripts need joiners; other format characters are invisible.
_JOINERS = '\u200c\u200d'
_UNPRINTABLE_CATEGORIES = frozenset({'Cc', 'Cf', 'Cs', 'Zl', 'Zp'})


class LabelError(ValueError):
    """A label or a list of labels cannot be used; the message names it and says why."""


def quote(text: object, limit: int = 40) -> str:
    """Return `text` for a message: quoted, shortened, unprintable characters escaped."""
    # Python's repr of nested lists with YAML aliases may be longer than the memory.
    text = text if isinstance(text, str) else reprlib.repr(text)
    return repr(text if len(text) <= limit else text[: limit - 1] + '…')


def parse_label(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse ``name`` or ``name=prompt|prompt``; return the name and its prompts.

    White space is trimmed and collapsed, text is normalised to Unicode NFC, `other` is put in
    lower case, and duplicate prompts are dropped.
    Raise LabelError for any other syntax, and beyond 64 characters in a name, 256 in a prompt or
    32 prompts.
    """
    if not isinstance(text, str):
        raise LabelError(f'label {quote(text)} is not a string but {type(text).__name__}')
    where = f'label {quote(text)}'
    head, equals, tail = text.partition('=')
    _check_filled(head, where, 'name', f'write name or {_LABEL_FORM}')
    name = _clean(head, where, 'name', NAME_LIMIT)
    _check_name(name, where, bar=f'write {_LABEL_FORM}', comma='give each label as a separate string')
    if '=' in tail:
        raise LabelError(f"{where} has a second '='; write {_LABEL_FORM}")
    if name.casefold() == OTHER_NAME:
        name = OTHER_NAME
    parts = tail.split('|') if equals else [name]
    if len(parts) > PROMPTS_PER_LABEL:  # before they are cleaned, as a million take seconds
        raise LabelError(f'{where} has {len(parts)} prompts; at most {PROMPTS_PER_LABEL}')
    for part in parts:
        _check_filled(part, where, 'prompt', f'write name or {_LABEL_FORM}')
    return name, tuple(dict.fromkeys(_clean(part, where, 'prompt', PROMPT_LIMIT) for part in parts))


def parse_labels(labels: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Parse a list of labels; raise LabelError if it is empty or too long, or has a name twice."""
    if isinstance(labels, str):
        raise LabelError(f'labels must be a list of strings, not the one string {quote(labels)}')
    if len(labels) > MAX_LABELS + 1:  # and `other`
        raise LabelError(
            f'{len(labels)} labels are too many, from {quote(labels[MAX_LABELS])} on; at most {MAX_LABELS}'
        )
    parsed = [parse_label(label) for label in labels]
    if not parsed:
        raise LabelError('the list of labels is empty; give at least one')
    seen: set[str] = set()
    for name, _ in parsed:
        if name in seen:
            raise LabelError(f'label {quote(name)} is listed twice')
        seen.add(name)
    return parsed


def parse_group(text: str) -> str:
    """Return the name of a group, normalised like that of a label; raise LabelError.

    `traversable` is put in lower case, as `other` is among labels: the map looks for this name.
    """
    where = f'group {quote(text)}'
    _check_filled(text, where, 'name', 'give it one')
    name = _clean(text, where, 'name', NAME_LIMIT)
    _check_name(name, where, bar=_WITHOUT, comma=_WITHOUT)
    return TRAVERSABLE_GROUP if name.casefold() == TRAVERSABLE_GROUP else name


def parse_groups(groups: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parse groups, written ``group=label|label``; return the members of each as they are written.

    Nothing after the ``=`` means no members. Raise LabelError for any other syntax, if a group is
    listed twice, and for more groups or members than there can be.
    """
    if len(groups) > 2 * MAX_GROUPS:  # as many may begin as end
        raise LabelError(f'{len(groups)} changes of groups are too many; at most {2 * MAX_GROUPS}')
    members: dict[str, tuple[str, ...]] = {}
    for text in groups:
        head, equals, tail = text.partition('=')
        where = f'group {quote(text)}'
        if not equals:
            raise LabelError(f"{where} has no '='; write {_GROUP_FORM}, or group= for no members")
        group = parse_group(head)
        if '=' in tail:
            raise LabelError(f"{where} has a second '='; write {_GROUP_FORM}")
        if (count := tail.count('|') + 1) > MAX_LABELS + 1:  # and `other`
            raise LabelError(f'group {quote(group)} has {count} members; at most {MAX_LABELS + 1}')
        if group in members:
            raise LabelError(f'group {quote(group)} is listed twice')
        members[group] = tuple(tail.split('|')) if tail.strip() else ()
        for member in members[group]:
            _check_filled(member, where, 'member', f'write {_GROUP_FORM}')
    return members


def check_prompt(text: str) -> str:
    """Return a prompt, normalised like those of a label; raise LabelError."""
    if not text.strip():
        raise LabelError(f'prompt {quote(text)} is empty')
    return _clean(text, f'prompt {quote(text)}', 'text', PROMPT_LIMIT)


def _check_filled(text: str, where: str, part: str, remedy: str) -> None:
    if not text.strip():
        raise LabelError(f'{where} has an empty {part}; {remedy}')


def _clean(text: str, where: str, part: str, limit: int) -> str:
    cleaned = ' '.join(text.split())
    # Normalising takes quadratic time, and no composed character takes more than four others.
    if len(cleaned) <= 4 * limit:
        cleaned = unicodedata.normalize('NFC', cleaned)
    if len(cleaned) > limit:
        raise LabelError(f'{where} has a {part} of {len(cleaned)} characters; at most {limit}')
    _check_printable(text.strip(), where, part)
    if all(char in _JOINERS or unicodedata.category(char)[0] in 'MZ' for char in cleaned):
        raise LabelError(f'{where} has a {part} without a visible character')
    return cleaned


def _check_printable(text: str, where: str, part: str) -> None:
    for char in text:
        if unicodedata.category(char) in _UNPRINTABLE_CATEGORIES and char not in _JOINERS:
            code = f'U+{ord(char):04X}'
            raise LabelError(f'{where} has the unprintable character {code} in its {part}')


def _check_name(name: str, where: str, bar: str, comma: str) -> None:
    """Raise LabelError, with a remedy for a bar or a comma, if a name cannot be used."""
    for mark, remedy in (('|', bar), (',', comma)):
        if mark in name:
            raise LabelError(f"{where} has '{mark}' in its name; {remedy}")
    if name.casefold() in _RESERVED_NAMES:
        raise LabelError(f'{where} uses a reserved name: id {UNLABELLED} is {name.casefold()}')


def split_labels(text: str) -> list[str]:
    """Split ``"floor, chair=chair|armchair"`` at the commas, without checking the parts."""
    return [part.strip() for part in text.split(',')] if text.strip() else []


def topic_name(name: str) -> str:
    """Return the form of a name used in topic names: ``[a-z][a-z0-9_]*``.

    Accents are dropped, spaces and punctuation become ``_``, and characters of other scripts
    become their code points (``u5730``). `LabelRegistry` refuses names that would collide.
    """
    plain = re.sub('[\u0300-\u036f]', '', unicodedata.normalize('NFKD', name).casefold())
    plain = unicodedata.normalize('NFC', plain)
    token = re.sub('_+', '_', ''.join(map(_topic_part, plain))).strip('_')
    token = token or '_'.join(f'u{ord(char):x}' for char in name)
    token = token if token[0].isalpha() else f'class_{token}'
    if len(token) > TOPIC_LIMIT:
        digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
        token = f'{token[: TOPIC_LIMIT - 9].rstrip("_")}_{digest}'
    return token


def _topic_part(char: str) -> str:
    if char.isascii():
        return char if char.isalnum() else '_'
    return '_' if unicodedata.category(char)[0] in 'PZ' else f'_u{ord(char):x}_'
