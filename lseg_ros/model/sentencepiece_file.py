# SPDX-License-Identifier: Apache-2.0
"""Reads the tokenizer in a SentencePiece file, without the package of that name.

The file is a protocol buffer, ModelProto in sentencepiece_model.proto. Only BPE is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Lowercase, Normalizer, Precompiled, Replace, Sequence
from tokenizers.pre_tokenizers import Metaspace

Value: TypeAlias = int | bytes
NORMAL = 1  # kind of a piece
BPE_MODEL = 2  # kind of a model
MAX_BYTES = 1024  # of a piece; the work for one grows with the square of its length


@dataclass(frozen=True)
class _Piece:
    text: str
    score: float
    kind: int


def read_sentencepiece(path: str | Path) -> Tokenizer:
    """Return the tokenizer in a file, which lowers the case of texts first.

    Raise ValueError if it is not a SentencePiece file with a BPE model.
    """
    try:
        fields = list(_fields(Path(path).read_bytes()))
        pieces = [_piece(value) for number, value in fields if number == 1]
        trainer, normaliser = (_message(fields, number) for number in (2, 3))
        if not pieces or trainer.get(3) != BPE_MODEL:
            raise ValueError('it has no BPE model')
        return _build(pieces, trainer, normaliser)
    except Exception as error:  # a damaged file can fail in any way, and tokenizers says no more
        raise ValueError(f'{path} is not a usable SentencePiece file: {error}; download it again') from error


def _build(pieces: list[_Piece], trainer: dict[int, Value], normaliser: dict[int, Value]) -> Tokenizer:
    unknown = pieces[int(trainer.get(40, 0))].text
    tokenizer = Tokenizer(
        BPE(
            vocab={piece.text: index for index, piece in enumerate(pieces)},
            merges=_merges(pieces),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=bool(trainer.get(35, 0)),
        )
    )
    tokenizer.normalizer = Sequence(_normalisers(normaliser))
    prefix = 'always' if normaliser.get(3, 1) else 'never'
    tokenizer.pre_tokenizer = Metaspace('▁', prepend_scheme=prefix, split=True)
    return tokenizer


def _normalisers(normaliser: dict[int, Value]) -> list[Normalizer]:
    steps: list[Normalizer] = [Lowercase()]
    table = normaliser.get(2, b'')
    if isinstance(table, bytes) and table:
        steps.append(Precompiled(table))
    if normaliser.get(4, 1):
        steps += [Replace(Regex('^ +| +$'), ''), Replace(Regex(' {2,}'), ' ')]
    return steps


def _merges(pieces: list[_Piece]) -> list[tuple[str, str]]:
    """Return each way to join two pieces to a third, the piece with the highest score first."""
    ids = {piece.text: index for index, piece in enumerate(pieces) if piece.kind == NORMAL}
    merges = []
    for piece in pieces:
        if piece.kind == NORMAL:
            for cut in range(1, len(piece.text)):
                left, right = piece.text[:cut], piece.text[cut:]
                if left in ids and right in ids:
                    merges.append((-piece.score, ids[left], ids[right], left, right))
    return [(left, right) for *_, left, right in sorted(merges)]


def _piece(message: Value) -> _Piece:
    fields = dict(_fields(message))
    text, score = fields[1], fields.get(2, bytes(4))
    if not isinstance(text, bytes) or not isinstance(score, bytes) or len(text) > MAX_BYTES:
        raise ValueError('a piece has no text, no score, or a text of unusual length')
    return _Piece(text.decode(), struct.unpack('<f', score)[0], int(fields.get(3, NORMAL)))


def _message(fields: list[tuple[int, Value]], number: int) -> dict[int, Value]:
    return next((dict(_fields(value)) for found, value in fields if found == number), {})


def _fields(message: Value) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field of a protocol buffer."""
    if not isinstance(message, bytes):
        raise ValueError('a number stands where a message should')
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f'a field is of the unknown kind {kind}')
        if at + size > len(message):
            raise ValueError('it ends too early')
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number of seven bits a byte that starts at `at`, and where it ends."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at
        if shift > 63:
            raise ValueError('a number has more than 64 bits')
