# SPDX-License-Identifier: Apache-2.0
"""Tokenizers read from SentencePiece files.

data/sentencepiece.model was trained with that package on this project's pages, with fallback to
bytes and a small table of characters; data/sentencepiece.json has the ids it gave.
"""

import json
from pathlib import Path

import pytest

from lseg_ros.model.sentencepiece_file import read_sentencepiece

DATA = Path(__file__).parent / 'data'
FILE = DATA / 'sentencepiece.model'


def test_ids_are_those_of_sentencepiece():
    tokenizer = read_sentencepiece(FILE)
    expected = json.loads((DATA / 'sentencepiece.json').read_text(encoding='utf-8'))
    assert len(expected) > 50
    assert {text: tokenizer.encode(text).ids for text in expected} == expected


def test_case_is_lowered_first():
    tokenizer = read_sentencepiece(FILE)
    assert tokenizer.encode('A Photo of ÜBER').ids == tokenizer.encode('a photo of über').ids


@pytest.mark.parametrize('size', [0, 1, 100, 5000, -1])
def test_truncated_files_are_refused(tmp_path, size):
    path = tmp_path / 'tokenizer.model'
    path.write_bytes(FILE.read_bytes()[:size])
    with pytest.raises(ValueError, match=r'tokenizer\.model is not a usable SentencePiece file.*download it again'):
        read_sentencepiece(path)


@pytest.mark.parametrize(
    'content',
    [b'<html>no</html>', b'{"version": "1.0"}', bytes(64), b'\xff' * 10**6],
    ids=['page', 'JSON', 'zeros', 'endless number'],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / 'other').write_bytes(content)
    with pytest.raises(ValueError, match='not a usable SentencePiece file'):
        read_sentencepiece(tmp_path / 'other')


def test_unigram_models_are_refused(tmp_path):
    data = FILE.read_bytes()
    at = data.rindex(b'\x18\x02')  # the kind of model in the trainer's settings, BPE
    (tmp_path / 'unigram.model').write_bytes(data[:at] + b'\x18\x01' + data[at + 2 :])
    with pytest.raises(ValueError, match='no BPE model'):
        read_sentencepiece(tmp_path / 'unigram.model')
