# SPDX-License-Identifier: Apache-2.0
"""Weights files: what is stored comes back, and anything else is refused in one line."""

import dataclasses
import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lseg_ros.model import CheckpointError, LSegConfig, build, load, save
from lseg_ros.model.checkpoint import read
from lseg_ros.model.lseg import TEXT_PREFIX


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = build(LSegConfig(width=16)).eval()
    model.config = dataclasses.replace(model.config, calibration=1.5, input_size=256)
    return model


@pytest.fixture
def weights(model, tmp_path):
    path = tmp_path / 'tiny.safetensors'
    save(model, path)
    return path


def rewrite(path, tensors=None, metadata=None):
    """Write the file again with other tensors or other metadata."""
    with safe_open(path, framework='pt') as file:
        kept = file.metadata()
    kept_tensors = load_file(path)
    save_file(kept_tensors if tensors is None else tensors, path, metadata=kept if metadata is None else metadata)


def refusal(path) -> str:
    """Return the text of the CheckpointError that loading `path` raises: one line, with it."""
    with pytest.raises(CheckpointError) as error:
        load(path)
    text = str(error.value)
    assert str(path) in text and '\n' not in text
    return text


def test_a_loaded_network_computes_what_the_saved_one_did(model, weights):
    loaded = load(weights)
    pixels = torch.randn(1, 3, 64, 96)
    text = model.encode_text(['floor', 'wall'])
    with torch.no_grad():
        # The file has half the precision of the network that was saved.
        torch.testing.assert_close(loaded(pixels, text), model(pixels, text), atol=0.1, rtol=0)
    assert loaded.config == model.config
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_saving_what_was_loaded_gives_the_same_file(weights, tmp_path):
    again = tmp_path / 'again.safetensors'
    save(load(weights), again)
    first, second = load_file(weights), load_file(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_file_holds_the_image_side_only_in_half_precision(weights):
    tensors = load_file(weights)
    assert not [key for key in tensors if key.startswith(TEXT_PREFIX)]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


def test_the_full_size_network_stays_below_20_megabytes(tmp_path):
    path = tmp_path / 'full.safetensors'
    save(build(LSegConfig(encoder='tf_efficientnet_lite2')), path)
    assert path.stat().st_size <= 20e6


def test_dtype_converts_the_image_side_and_not_the_text_encoder(weights):
    model = load(weights, dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert {p.dtype for p in model.image_encoder.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in model.text_encoder.parameters()} == {torch.float32}
    text = model.encode_text(['floor', 'wall'])
    assert text.dtype == torch.bfloat16
    logits = model(torch.randn(1, 3, 32, 32, dtype=torch.bfloat16), text)
    assert logits.shape == (1, 2, 32, 32) and logits.isfinite().all()


def test_class_prior_is_stored_and_none_is_built_for_files_without(weights, tmp_path):
    assert load(weights).decoder.class_prior is None
    path, model = tmp_path / 'prior.safetensors', build(LSegConfig(width=16, class_prior=20.0)).eval()
    save(model, path)
    loaded = load(path)
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode_image(pixels), model.encode_image(pixels), atol=0.02, rtol=0)
    assert load(path, dtype=torch.bfloat16).encode_image(pixels.bfloat16()).isfinite().all()


def test_values_beyond_float16_are_not_saved(model, tmp_path):
    broken = build(LSegConfig(width=16))
    with torch.no_grad():
        broken.decoder.head.bias[0] = 1e6
    with pytest.raises(ValueError, match='decoder.head.bias'):
        save(broken, tmp_path / 'broken.safetensors')


def test_missing_file(tmp_path):
    path = tmp_path / 'nothing.safetensors'
    with pytest.raises(FileNotFoundError, match='nothing.safetensors'):
        load(path)


@pytest.mark.parametrize('kept', [0, 4, 100, 5000, -1])
def test_truncated_file(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])
    assert 'empty' in refusal(weights) or 'truncated' in refusal(weights)


def replaced(path):
    """Put another file in the place of one, as a download does."""
    other = path.with_name('other')
    other.write_bytes(path.read_bytes())
    other.replace(path)


def written_over(path):
    """Write to a file in place, as cp does."""
    with path.open('r+b') as file:
        file.seek(-4, 2)
        file.write(b'1234')


@pytest.mark.parametrize('change', [replaced, written_over])
def test_weights_that_change_while_they_are_read_are_not_mixed(weights, change):
    tensors = [*read(weights).tensors.values()]
    tensors[0].read()
    change(weights)
    with pytest.raises(CheckpointError, match=f'{weights} was written anew'):
        tensors[-1].read()


def test_missing_tensor_is_named(weights):
    tensors = load_file(weights)
    del tensors['decoder.head.bias']
    rewrite(weights, tensors=tensors)
    assert 'tensors of lseg-lite it lacks 1 (first decoder.head.bias)' in refusal(weights)


def test_unexpected_tensor_is_named(weights):
    rewrite(weights, tensors={**load_file(weights), 'decoder.extra': torch.zeros(1)})
    assert 'it has an extra 1 (first decoder.extra)' in refusal(weights)


def test_wrong_shape_is_named(weights):
    rewrite(weights, tensors={**load_file(weights), 'decoder.head.bias': torch.zeros(3)})
    assert 'decoder.head.bias has the shape [3], lseg-lite needs [16]' in refusal(weights)


def test_safetensors_of_another_program(weights):
    rewrite(weights, metadata={'format': 'pt'})
    assert 'that lseg did not write' in refusal(weights)


@pytest.mark.parametrize(
    'config, problem',
    [
        ('{', 'configuration'),
        ('[1, 2]', 'configuration'),
        ('[' * 100_000, 'configuration'),
        ('{"depth": 3}', 'depth'),
        ('{"width": "wide"}', 'width must be int'),
        ('{"width": true}', 'width must be int'),
        ('{"width": 1000000000}', 'width must be within'),
        ('{"temperature": 0.0}', 'temperature must be within'),
        ('{"calibration": NaN}', 'calibration must be within'),
        ('{"encoder": "resnet1"}', "unknown image encoder 'resnet1'"),
        ('{"text": "word2vec"}', "unknown text encoder 'word2vec'"),
    ],
)
def test_unusable_configuration(weights, config, problem):
    rewrite(weights, metadata={'lseg': config})
    assert problem in refusal(weights)


def test_a_damaged_text_model_is_not_blamed_on_the_weights(weights, tmp_path):
    for name in ('model.safetensors', 'tokenizer.json'):
        (tmp_path / name).write_text('damaged')
    damaged = re.escape(str(tmp_path / 'model.safetensors'))
    with pytest.raises(ValueError, match=damaged) as error:
        load(weights, text_model=str(tmp_path))
    assert not isinstance(error.value, CheckpointError)


def test_configuration_is_stored_as_json(weights, model):
    with safe_open(weights, framework='pt') as file:
        assert LSegConfig(**json.loads(file.metadata()['lseg'])) == model.config
