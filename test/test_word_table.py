# SPDX-License-Identifier: Apache-2.0
"""A table of words in place of a text encoder: same vectors, and no others."""

import dataclasses

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lseg_ros.model import CheckpointError, LSeg, load, save
from lseg_ros.model.word_table import WordTable

WORDS = ['floor', 'wall', 'floor', 'Tür']


@pytest.fixture
def file(tiny_model, tmp_path):
    """Return the weights of a network that knows three words."""
    table = WordTable.of(tiny_model.text_encoder, WORDS)
    config = dataclasses.replace(tiny_model.config, text=table.name)
    save(LSeg(config, tiny_model.image_encoder, tiny_model.decoder, table), tmp_path / 'words.safetensors')
    return tmp_path / 'words.safetensors'


def test_its_vectors_are_those_of_the_encoder(file, tiny_model):
    model = load(file)
    assert model.config.text == 'words:3x384'
    rows = model.encode_text(['Tür', 'wall'])
    assert torch.allclose(rows, tiny_model.encode_text(['Tür', 'wall']), atol=1e-3)
    assert torch.allclose(rows.norm(dim=1), torch.ones(2), atol=1e-6)


def test_another_word_is_refused_by_name(file):
    with pytest.raises(ValueError, match="'giraffe' is none of the 3 words"):
        load(file).encode_text(['wall', 'giraffe'])


@pytest.mark.parametrize(
    ('stored', 'problem'),
    [
        ('', 'no usable list'),
        ('{"a": 1}', 'must be a list of texts'),
        ('[1, 2, 3]', 'must be a list of texts'),
        ('["a", "b"]', '2 different words for a table of 3'),
        ('["a", "b", "a"]', '2 different words for a table of 3'),
    ],
)
def test_a_file_with_another_list_is_refused(file, stored, problem):
    with safe_open(file, 'pt') as content:
        metadata = content.metadata()
        tensors = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 -- not a mapping
    save_file(tensors, file, {**metadata, 'tokenizer': stored})
    with pytest.raises(CheckpointError, match=problem):
        load(file)
